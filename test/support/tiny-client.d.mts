/** The fields of an answer, in order, and its number. */
export type Answer = readonly unknown[] & { readonly type: number }

export class Refusal extends Error {
  readonly code: string
  readonly indefinite: boolean
}

export class TinyClient {
  constructor(path: string)
  hello(): Promise<{ readonly node: string; readonly origin: string; readonly sessionTimeoutMs: number }>
  ask(name: string, ...fields: readonly unknown[]): Promise<Answer>
  askTogether(...requests: readonly (readonly [name: string, ...fields: unknown[]])[]): Promise<Answer>[]
  close(): void
}

export function newId(timeMs?: number): string
export function toValue(value: unknown): Uint8Array
export function fromValue(bytes: unknown): unknown

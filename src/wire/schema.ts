import { VirgaError } from '../errors.js'

/**
 * A small language for what may stand in a message or record. Each type can check a decoded value, and describe itself:
 * the description is what the protocol's documents and its version test compare.
 */
export interface Type<T> {
  readonly describe: string
  /** Whether a decoded value is of this type, in full. */
  readonly is: (value: unknown) => value is T
}

export type Infer<X> = X extends Type<infer T> ? T : never

function type<T>(describe: string, is: (value: unknown) => boolean): Type<T> {
  return { describe, is: is as (value: unknown) => value is T }
}

/** An integer from 0 to 2^53 - 1. */
export const uint: Type<number> = type(
  'uint',
  (v) => typeof v === 'number' && Number.isSafeInteger(v) && v >= 0,
)
export const bool: Type<boolean> = type('bool', (v) => typeof v === 'boolean')
export const text: Type<string> = type('str', (v) => typeof v === 'string')
export const bytes: Type<Uint8Array> = type('bin', (v) => v instanceof Uint8Array)

export function nullable<T>(of: Type<T>): Type<T | null> {
  return type(`${of.describe} or nil`, (v) => v === null || of.is(v))
}

export function list<T>(of: Type<T>): Type<readonly T[]> {
  return type(`[${of.describe}]*`, (v) => {
    if (!Array.isArray(v)) return false
    for (let i = 0; i < v.length; i++) if (!of.is(v[i])) return false
    return true
  })
}

export function tuple<const Ts extends readonly Type<unknown>[]>(
  ...of: Ts
): Type<{ readonly [I in keyof Ts]: Infer<Ts[I]> }> {
  return type(`(${of.map((t) => t.describe).join(', ')})`, (v) => {
    if (!Array.isArray(v) || v.length !== of.length) return false
    for (let i = 0; i < of.length; i++) if (!of[i]!.is(v[i])) return false
    return true
  })
}

export function oneOf<const T extends string>(...texts: readonly T[]): Type<T> {
  const allowed: ReadonlySet<unknown> = new Set(texts)
  return type(texts.map((t) => `"${t}"`).join(' | '), (v) => allowed.has(v))
}

/** Text in a form of its own, such as an id. */
export function textLike<T extends string>(name: string, is: (value: string) => boolean): Type<T> {
  return type(name, (v) => typeof v === 'string' && is(v))
}

export type Fields = Readonly<Record<string, Type<unknown>>>
export type Shape<F extends Fields> = { readonly [K in keyof F]: Infer<F[K]> }

/** A sequence of named fields, written in order as array items. */
export class Struct<F extends Fields> {
  readonly #names: readonly (keyof F & string)[]
  readonly #types: readonly Type<unknown>[]

  constructor(fields: F) {
    this.#names = Object.keys(fields)
    this.#types = Object.values(fields)
  }

  get length(): number {
    return this.#names.length
  }

  /** Appends the fields of `value` to `out`. */
  write(value: Shape<F>, out: unknown[]): void {
    for (let i = 0; i < this.#names.length; i++) out.push(value[this.#names[i]!])
  }

  /** Reads the fields from `items`, which must end with them. Throws `Malformed`, naming the field. */
  read(items: readonly unknown[], start: number): Shape<F> {
    if (items.length !== start + this.#names.length) {
      throw new VirgaError('Malformed', `${items.length} items where ${start + this.#names.length} are due`)
    }
    const out: Record<string, unknown> = {}
    for (let i = 0; i < this.#names.length; i++) {
      const value = items[start + i]
      const type = this.#types[i]!
      if (!type.is(value)) throw new VirgaError('Malformed', `${this.#names[i]} is not ${type.describe}`)
      out[this.#names[i]!] = value
    }
    return out as Shape<F>
  }

  /** Names and types, in the order in which they are written. */
  describeFields(): readonly { readonly name: string; readonly type: string }[] {
    return this.#names.map((name, i) => ({ name, type: this.#types[i]!.describe }))
  }
}

import { type ParseArgsConfig, parseArgs } from 'node:util'
import { oneLine, UsageError } from './failure.js'

export type Flags = NonNullable<ParseArgsConfig['options']>

export interface Arguments {
  /** The text given to a flag; undefined if it was not given. */
  text(flag: string): string | undefined
  has(flag: string): boolean
  readonly positionals: readonly string[]
}

/** Takes arguments apart. Throws `UsageError`, which names what it doesn't know. */
export function parse(
  command: string,
  args: readonly string[],
  flags: Flags,
  positionals: { readonly min: number; readonly max: number; readonly names: string },
): Arguments {
  let values: Readonly<Record<string, unknown>>
  let given: readonly string[]
  try {
    const parsed = parseArgs({ args: [...args], options: flags, allowPositionals: true, strict: true })
    values = parsed.values
    given = parsed.positionals
  } catch (error) {
    throw new UsageError(oneLine((error as Error).message), command)
  }
  if (given.length < positionals.min || given.length > positionals.max) {
    const takes = positionals.max === 0 ? 'nothing' : positionals.names
    throw new UsageError(
      `${command} takes ${takes} besides its options; got ${given.length === 0 ? 'nothing' : given.map((text) => JSON.stringify(text)).join(' ')}`,
      command,
    )
  }
  return {
    text: (flag) => values[flag] as string | undefined,
    has: (flag) => values[flag] === true,
    positionals: given,
  }
}

/** A whole number above zero. */
export function count(command: string, flag: string, text: string): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : 0
  if (value === 0)
    throw new UsageError(`--${flag} is a whole number above zero, got ${JSON.stringify(text)}`, command)
  return value
}

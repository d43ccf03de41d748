import { VirgaError } from '../errors.js'

/** How long a client waits, and how much it has under way. Times are in milliseconds. */
export interface ClientOptions {
  /** For the node to greet, at `connect` and whenever the connection has broken. Default 5,000. */
  readonly connectTimeoutMs?: number
  /**
   * For the answer to any request but a commit or handoff. As long it may wait for its turn before, where more is under way than the
   * node takes at once. Default 10,000.
   */
  readonly requestTimeoutMs?: number
  /** For the answer to a commit or handoff, and for its turn before. Default 30,000. */
  readonly commitTimeoutMs?: number
  /** For finding out what became of a commit whose answer was lost. Default 30,000. */
  readonly resolveTimeoutMs?: number
  /** Attempts that `transaction()` makes. Default 10. */
  readonly attemptsMax?: number
  /** The wait before the second attempt; it doubles with each further one, up to `retryDelayMsMax`. Defaults 5 and 1,000. */
  readonly retryDelayMs?: number
  /** The longest wait between two attempts. */
  readonly retryDelayMsMax?: number
  /** Attempts that lost against rivals over a key, in mode `parallel-snapshot`. They count apart. Default 200. */
  readonly contendedAttemptsMax?: number
  /** The longest wait after such an attempt. Default 100. */
  readonly contendedDelayMsMax?: number
  /** Bytes of writes that a transaction keeps before it sends them ahead to the node. Default 1 MiB. */
  readonly spillBytes?: number
  /**
   * `auto`: reads come from the node's view, in this process, where it has one that may be opened from here. `off`: every
   * read is asked of the node. Default `auto`.
   */
  readonly view?: 'auto' | 'off'
}

export const DEFAULT_CLIENT_OPTIONS: Required<ClientOptions> = {
  connectTimeoutMs: 5_000,
  requestTimeoutMs: 10_000,
  commitTimeoutMs: 30_000,
  resolveTimeoutMs: 30_000,
  attemptsMax: 10,
  retryDelayMs: 5,
  retryDelayMsMax: 1_000,
  contendedAttemptsMax: 200,
  contendedDelayMsMax: 100,
  spillBytes: 1024 * 1024,
  view: 'auto',
}

const NUMBERS = (Object.keys(DEFAULT_CLIENT_OPTIONS) as (keyof ClientOptions)[]).filter(
  (name) => name !== 'view',
)
/** Delays may be none at all. */
const MAY_BE_ZERO: ReadonlySet<string> = new Set(['retryDelayMs', 'retryDelayMsMax', 'contendedDelayMsMax'])

/** With the defaults for what was not given, or was given as undefined. Throws `InvalidArgument`. */
export function completeOptions(given: ClientOptions): Required<ClientOptions> {
  const said = Object.entries(given).filter(([, value]) => value !== undefined)
  const options: Required<ClientOptions> = { ...DEFAULT_CLIENT_OPTIONS, ...Object.fromEntries(said) }
  const { view } = options
  if (view !== 'auto' && view !== 'off')
    throw new VirgaError('InvalidArgument', `view is 'auto' or 'off', got ${String(view)}`)
  for (const name of NUMBERS) {
    const value: unknown = options[name]
    if (typeof value === 'number' && (value > 0 || (value === 0 && MAY_BE_ZERO.has(name)))) continue
    throw new VirgaError('InvalidArgument', `${name} is a number above 0, got ${String(value)}`)
  }
  return options
}

/** Shared parsing of storage URLs. Every option that an engine doesn't take is refused by name. */
import { VirgaError } from '../errors.js'

export interface ParsedStorageUrl {
  /** With its colon: `lmdb:`. */
  readonly scheme: string
  /** What stands between the scheme and the query, as written. */
  readonly rest: string
  /** Takes one option out. Undefined where it wasn't given. */
  take(name: string): string | undefined
  /** Refuses the options that nobody took. */
  done(): void
}

/**
 * Not through `URL`: it knows no lists of hosts (`redis+cluster://a:1,b:2`) and would resolve `lmdb:./data`.
 *
 * @throws VirgaError `InvalidArgument`
 */
export function parseStorageUrl(url: URL | string, schemes: readonly string[]): ParsedStorageUrl {
  const text = String(url)
  const colon = text.indexOf(':')
  const scheme = text.slice(0, colon + 1).toLowerCase()
  if (!schemes.includes(scheme)) {
    throw new VirgaError(
      'InvalidArgument',
      `a storage URL that begins with ${schemes.join(' or ')}, not ${redacted(text)}`,
    )
  }
  const mark = text.indexOf('?', colon)
  const rest = mark < 0 ? text.slice(colon + 1) : text.slice(colon + 1, mark)
  const options = new URLSearchParams(mark < 0 ? '' : text.slice(mark + 1))
  return {
    scheme,
    rest,
    take(name) {
      const given = options.getAll(name)
      if (given.length > 1)
        throw new VirgaError('InvalidArgument', `${scheme} option ${name} is given ${given.length} times`)
      options.delete(name)
      return given[0]
    },
    done() {
      const unknown = [...new Set(options.keys())]
      if (unknown.length > 0) {
        throw new VirgaError(
          'InvalidArgument',
          `${scheme} knows no option ${unknown.map((name) => JSON.stringify(name)).join(', ')}`,
        )
      }
    },
  }
}

type Take = ParsedStorageUrl['take']

export function booleanOption(take: Take, name: string): boolean | undefined {
  const text = take(name)
  if (text === undefined) return undefined
  if (text === 'true' || text === '1' || text === '') return true
  if (text === 'false' || text === '0') return false
  throw new VirgaError('InvalidArgument', `option ${name} must be true or false, not ${JSON.stringify(text)}`)
}

export function countOption(take: Take, name: string, most = Number.MAX_SAFE_INTEGER): number | undefined {
  const text = take(name)
  if (text === undefined) return undefined
  const count = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (!(count <= most)) {
    throw new VirgaError(
      'InvalidArgument',
      `option ${name} must be a whole number up to ${most}, not ${JSON.stringify(text)}`,
    )
  }
  return count
}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 }

/** Bytes, or with a suffix k, m, g or t (powers of 1,024). */
export function sizeOption(take: Take, name: string): number | undefined {
  const text = take(name)
  if (text === undefined) return undefined
  const match = /^(\d{1,15})([kmgt]?)$/i.exec(text)
  const bytes = match === null ? 0 : Number(match[1]) * (UNITS[(match[2] ?? '').toLowerCase()] ?? 0)
  if (!Number.isSafeInteger(bytes) || bytes < 1) {
    throw new VirgaError(
      'InvalidArgument',
      `option ${name} must be a size such as 512m or 4g, not ${JSON.stringify(text)}`,
    )
  }
  return bytes
}

/** A storage URL fit for logs: without its password. */
export function redacted(url: string): string {
  return url.replace(/\/\/.*@/, '//***@')
}

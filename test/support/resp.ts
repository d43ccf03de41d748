/** A request to Redis: the name in lower case, its arguments as text. */
export interface RedisRequest {
  readonly name: string
  /** The hash that it is about, for the commands that virga sends. */
  readonly key: string
}

const CR = 13
/** Of a request nobody looks further. */
const ARGUMENTS_MAX = 3

/** Splits one direction of a connection to Redis (RESP 2) into requests, or answers. */
export class RespParser {
  #chunks: Buffer[] = []
  #bytes = 0
  /** So many bytes are known to be needed for the next one. */
  #needed = 1

  /** What is complete, in order. */
  push(bytes: Buffer): readonly Buffer[] {
    this.#chunks.push(bytes)
    this.#bytes += bytes.length
    if (this.#bytes < this.#needed) return []
    let rest = Buffer.concat(this.#chunks)
    const complete: Buffer[] = []
    for (;;) {
      const end = endOf(rest, 0)
      if (end > rest.length) {
        this.#needed = end
        break
      }
      complete.push(rest.subarray(0, end))
      rest = rest.subarray(end)
    }
    this.#chunks = [rest]
    this.#bytes = rest.length
    return complete
  }
}

export function requestOf(bytes: Buffer): RedisRequest {
  const parts: string[] = []
  const headEnd = bytes.indexOf(CR)
  let at = headEnd + 2
  while (parts.length < ARGUMENTS_MAX + 1 && at < bytes.length) {
    const lineEnd = bytes.indexOf(CR, at)
    const length = Number(bytes.toString('latin1', at + 1, lineEnd))
    parts.push(bytes.toString('utf8', lineEnd + 2, lineEnd + 2 + length))
    at = lineEnd + length + 4
  }
  const name = parts[0]!.toLowerCase()
  return { name, key: parts[name.startsWith('eval') ? 3 : 1] ?? '' }
}

/** Where the value that begins at a place ends. Beyond the bytes, if it is not complete: at least so many are needed. */
function endOf(bytes: Buffer, at: number): number {
  const lineEnd = bytes.indexOf(CR, at)
  if (lineEnd < 0 || lineEnd + 2 > bytes.length) return bytes.length + 1
  const end = lineEnd + 2
  const kind = String.fromCharCode(bytes[at]!)
  if (kind === '+' || kind === '-' || kind === ':') return end
  if (kind !== '$' && kind !== '*')
    throw new Error(`no RESP 2: ${JSON.stringify(bytes.toString('latin1', at, end))}`)
  const count = Number(bytes.toString('latin1', at + 1, lineEnd))
  if (count < 0) return end
  if (kind === '$') return end + count + 2
  let next = end
  for (let i = 0; i < count && next <= bytes.length; i++) next = endOf(bytes, next)
  return next
}

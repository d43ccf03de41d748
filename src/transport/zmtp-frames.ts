import { COMMAND_BYTES_MAX, type Header, readHeader, ZmtpError } from './zmtp-format.js'

const NOTHING = Buffer.alloc(0)

/**
 * Bytes of a connection, as they come, cut into frames. A frame that came in one piece is a view into that piece; one of many is
 * copied together once, when the last is there, so that a length that was only announced takes no memory.
 */
export class ZmtpFrames {
  readonly #frameBytesMax: number
  #piece: Buffer = NOTHING
  #at = 0
  /** Of a frame whose end has yet to come. */
  #header: Header | undefined
  #parts: Buffer[] = []
  #missingBytes = 0

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax
  }

  /** Bytes that were added and are in no frame that was returned. */
  get heldBytes(): number {
    const ofHeader = this.#header === undefined ? 0 : this.#header.bodyBytes - this.#missingBytes
    return ofHeader + this.#piece.length - this.#at
  }

  add(piece: Buffer): void {
    const rest = this.#piece.subarray(this.#at)
    this.#piece = rest.length === 0 ? piece : Buffer.concat([rest, piece])
    this.#at = 0
  }

  /** So many bytes that are no frame. Undefined: they are not there yet. */
  take(bytes: number): Buffer | undefined {
    const end = this.#at + bytes
    if (end > this.#piece.length) return undefined
    const taken = this.#piece.subarray(this.#at, end)
    this.#at = end
    return taken
  }

  /** What `take` would take from, without taking it. */
  peek(bytesMax: number): Buffer {
    return this.#piece.subarray(this.#at, this.#at + bytesMax)
  }

  /** The next frame, or undefined: more has to come. Throws `ZmtpError`. */
  next(): { readonly header: Header; readonly body: Buffer } | undefined {
    let header = this.#header
    if (header === undefined) {
      header = readHeader(this.#piece, this.#at)
      if (header === undefined) return undefined
      const bytesMax = header.isCommand ? COMMAND_BYTES_MAX : this.#frameBytesMax
      if (header.bodyBytes > bytesMax) throw new ZmtpError(`a frame of more than ${bytesMax} bytes`)
      this.#at += header.bytes
      const body = this.take(header.bodyBytes)
      if (body !== undefined) return { header, body }
      this.#header = header
      this.#missingBytes = header.bodyBytes
    }
    const part = this.#piece.subarray(this.#at, this.#at + this.#missingBytes)
    this.#at += part.length
    this.#missingBytes -= part.length
    if (part.length > 0) this.#parts.push(part)
    if (this.#missingBytes > 0) return undefined
    const body = Buffer.concat(this.#parts, header.bodyBytes)
    this.#parts = []
    this.#header = undefined
    return { header, body }
  }
}

import { COMMAND_BYTES_MAX, type Header, readHeader, ZmtpError } from './zmtp-format.js'

const NOTHING = Buffer.alloc(0)

/** Room for a frame whose end has yet to come, at first. */
const ROOM_BYTES = 64 * 1024

/**
 * Bytes of a connection, as they come, cut into frames. A frame that came in one piece is a view into that piece. One of many is
 * copied into room of its own, which grows with what has come: a length that was only announced takes no memory, and a byte
 * that comes alone takes no more than a byte.
 */
export class ZmtpFrames {
  readonly #frameBytesMax: number
  #piece: Buffer = NOTHING
  #at = 0
  /** Of a frame whose end has yet to come. */
  #header: Header | undefined
  #room: Buffer = NOTHING
  #filledBytes = 0

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax
  }

  /** What is kept of frames whose end has yet to come, with room to grow. */
  get heldBytes(): number {
    return this.#room.length + this.#piece.length - this.#at
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
    this.#skip(bytes)
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
      const bodyAt = this.#at + header.bytes
      const end = bodyAt + header.bodyBytes
      if (end <= this.#piece.length) {
        const body = this.#piece.subarray(bodyAt, end)
        this.#skip(end - this.#at)
        return { header, body }
      }
      this.#skip(header.bytes)
      this.#header = header
    }
    this.#fill(header.bodyBytes)
    if (this.#filledBytes < header.bodyBytes) return undefined
    const body = this.#room
    this.#room = NOTHING
    this.#filledBytes = 0
    this.#header = undefined
    return { header, body }
  }

  #fill(bodyBytes: number): void {
    const part = this.#piece.subarray(this.#at, this.#at + bodyBytes - this.#filledBytes)
    const filled = this.#filledBytes + part.length
    if (filled > this.#room.length) {
      // At the end it is as large as the frame.
      const room = Buffer.allocUnsafeSlow(Math.min(bodyBytes, Math.max(2 * filled, ROOM_BYTES)))
      this.#room.copy(room, 0, 0, this.#filledBytes)
      this.#room = room
    }
    part.copy(this.#room, this.#filledBytes)
    this.#filledBytes = filled
    this.#skip(part.length)
  }

  /** A piece that is used up is not kept. */
  #skip(bytes: number): void {
    this.#at += bytes
    if (this.#at < this.#piece.length) return
    this.#piece = NOTHING
    this.#at = 0
  }
}

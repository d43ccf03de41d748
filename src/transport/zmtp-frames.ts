import { COMMAND_BYTES_MAX, type Header, readHeader, ZmtpError } from './zmtp-format.js'

const NOTHING = Buffer.alloc(0)

/** Smaller parts of a frame are copied together as they come: each by itself would take more memory than it has bytes. */
const PART_BYTES_MIN = 16 * 1024
/** Room for those, at first and at most. */
const ROOM_BYTES_MIN = 4 * 1024
const ROOM_BYTES_MAX = 64 * 1024

/**
 * Bytes of a connection, as they come, cut into frames. A frame that came in one piece is a view into that piece. One of many is
 * copied together once all of it is there: a length that was only announced takes no memory, and a byte that comes alone takes no
 * more than a byte.
 */
export class ZmtpFrames {
  readonly #frameBytesMax: number
  #piece: Buffer = NOTHING
  #at = 0
  /** Of a frame whose end has yet to come. */
  #header: Header | undefined
  #parts: Buffer[] = []
  #partsBytes = 0
  /** What came in small parts since the last of `#parts`, and room for more. */
  #room: Buffer = NOTHING
  #roomFilled = 0

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax
  }

  /** What is kept of frames whose end has yet to come, with room to grow. */
  get heldBytes(): number {
    return this.#partsBytes + this.#room.length + this.#piece.length - this.#at
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
    this.#keep(header.bodyBytes - this.#partsBytes - this.#roomFilled)
    if (this.#partsBytes + this.#roomFilled < header.bodyBytes) return undefined
    this.#closeRoom()
    const body = Buffer.concat(this.#parts, header.bodyBytes)
    this.#parts = []
    this.#partsBytes = 0
    this.#header = undefined
    return { header, body }
  }

  /** What has come of the frame, of so many bytes that are missing. */
  #keep(missingBytes: number): void {
    const part = this.#piece.subarray(this.#at, this.#at + missingBytes)
    this.#skip(part.length)
    if (part.length >= PART_BYTES_MIN) {
      this.#closeRoom()
      this.#add(part)
      return
    }
    for (let rest = part; rest.length > 0; ) {
      if (this.#roomFilled === this.#room.length) {
        this.#closeRoom()
        const bytes = Math.min(ROOM_BYTES_MAX, Math.max(ROOM_BYTES_MIN, this.#partsBytes))
        this.#room = Buffer.allocUnsafeSlow(bytes)
      }
      const copied = rest.copy(this.#room, this.#roomFilled)
      this.#roomFilled += copied
      rest = rest.subarray(copied)
    }
  }

  #closeRoom(): void {
    if (this.#roomFilled > 0) {
      const filled = this.#room.subarray(0, this.#roomFilled)
      // One that is mostly empty is not kept for the little that is in it.
      this.#add(2 * filled.length < this.#room.length ? Buffer.concat([filled]) : filled)
    }
    this.#room = NOTHING
    this.#roomFilled = 0
  }

  #add(part: Buffer): void {
    this.#parts.push(part)
    this.#partsBytes += part.length
  }

  /** A piece that is used up is not kept. */
  #skip(bytes: number): void {
    this.#at += bytes
    if (this.#at < this.#piece.length) return
    this.#piece = NOTHING
    this.#at = 0
  }
}

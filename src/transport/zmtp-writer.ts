import type { Socket } from 'node:net'
import { headerBytes, writeHeader } from './zmtp-format.js'

/** Of a frame that a slow reader leaves waiting, the room waits with it: so small ones have a small one. */
const SMALL_BYTES = 4 * 1024
const LARGE_BYTES = 64 * 1024

/**
 * Writes frames to sockets. What is sent is copied behind its header into room that is used again: nearly always the system has taken
 * all of it when the write returns. Memory outside of the heap, made for each frame, would have V8 look for garbage:
 * docs/decisions/memory-used-again.md.
 */
export class ZmtpWriter {
  #small: Buffer | undefined
  #large: Buffer | undefined

  /** As `socket.write` of all of it. The frame's bytes are the caller's again when it returns. */
  write(socket: Socket, frame: Uint8Array): boolean {
    const header = headerBytes(frame.length)
    const bytes = header + frame.length
    // Behind others that wait, it would wait in the room.
    const fits = bytes <= LARGE_BYTES && socket.writableLength === 0
    const room = fits ? this.#roomFor(bytes) : Buffer.allocUnsafe(bytes)
    writeHeader(room, frame.length)
    room.set(frame, header)
    const isTaken = socket.write(room.subarray(0, bytes))
    // What the system did not take is in the room until it does.
    if (fits && socket.writableLength > 0) this.#leave(room)
    return isTaken
  }

  #roomFor(bytes: number): Buffer {
    if (bytes > SMALL_BYTES) {
      this.#large ??= Buffer.allocUnsafeSlow(LARGE_BYTES)
      return this.#large
    }
    this.#small ??= Buffer.allocUnsafeSlow(SMALL_BYTES)
    return this.#small
  }

  #leave(room: Buffer): void {
    if (room === this.#small) this.#small = undefined
    else this.#large = undefined
  }
}

// @ts-check
/**
 * Messages over a stream of bytes: four bytes of length, then MessagePack. Those that are sent in one turn of the event
 * loop leave in one write.
 */
import { Packr } from 'msgpackr'

/** A batch of values, or one value of the largest size with what surrounds it. */
const FRAME_BYTES_MAX = 512 * 1024 * 1024
const HEAD_BYTES = 4
const packr = new Packr({ useRecords: false })

/** @param {import('node:net').Socket} socket @returns {(message: readonly unknown[]) => void} */
export function sender(socket) {
  return (message) => {
    if (socket.writableCorked === 0) {
      socket.cork()
      process.nextTick(() => socket.uncork())
    }
    const body = packr.pack(message)
    if (body.length > FRAME_BYTES_MAX) throw new Error(`a frame of ${body.length} bytes`)
    const head = Buffer.allocUnsafe(HEAD_BYTES)
    head.writeUInt32BE(body.length)
    socket.write(head)
    socket.write(body)
  }
}

/** Hands on each message as it is complete. One that can't be read ends the connection.
 *
 * @param {import('node:net').Socket} socket @param {(message: any[]) => void} onMessage
 */
export function receive(socket, onMessage) {
  /** @type {Buffer[]} */
  let chunks = []
  let bytes = 0
  let due = HEAD_BYTES
  let inHead = true
  socket.on('data', (/** @type {Buffer} */ chunk) => {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes < due) return
    // Joined only when something is complete: a large value arrives in thousands of chunks.
    let rest = chunks.length === 1 ? /** @type {Buffer} */ (chunks[0]) : Buffer.concat(chunks)
    try {
      while (rest.length >= due) {
        const part = rest.subarray(0, due)
        rest = rest.subarray(due)
        if (inHead) {
          due = part.readUInt32BE()
          if (due > FRAME_BYTES_MAX) throw new Error(`a frame of ${due} bytes is announced`)
        } else {
          due = HEAD_BYTES
          onMessage(packr.unpack(part))
        }
        inHead = !inHead
      }
    } catch (error) {
      socket.destroy(/** @type {Error} */ (error))
    }
    chunks = [rest]
    bytes = rest.length
  })
}

import { hash } from 'node:crypto'

const BLOCK_BYTES = 64
const DIGEST_BYTES = 32
/** Payloads up to this size share one buffer. */
const ROOM_BYTES = 32 * 1024
const INNER = 0x36
const OUTER = 0x5c

/**
 * HMAC-SHA-256 (RFC 2104) under a key. Of one-shot hashes, since what `createHmac` makes for each code costs more than the hashing
 * of a small context.
 */
export function macOf(key: Uint8Array): (payload: Uint8Array) => Uint8Array {
  const block = key.length > BLOCK_BYTES ? hash('sha256', key, 'buffer') : key
  const inner = padded(block, INNER)
  const outer = Buffer.concat([padded(block, OUTER), Buffer.alloc(DIGEST_BYTES)])
  const room = Buffer.concat([inner, Buffer.alloc(ROOM_BYTES)])
  return (payload) => {
    const bytes = BLOCK_BYTES + payload.length
    const message = bytes <= room.length ? room.subarray(0, bytes) : Buffer.concat([inner, payload])
    message.set(payload, BLOCK_BYTES)
    // As text: what a buffer for each digest costs is more than its hashing.
    outer.write(hash('sha256', message, 'binary'), BLOCK_BYTES, 'binary')
    return Buffer.from(hash('sha256', outer, 'binary'), 'binary')
  }
}

function padded(key: Uint8Array, by: number): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES)
  block.set(key)
  return block.map((byte) => byte ^ by) as Buffer
}

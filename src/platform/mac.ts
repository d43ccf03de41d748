import { createHmac } from 'node:crypto'

/** HMAC-SHA-256 under a key. */
export function macOf(key: Uint8Array): (payload: Uint8Array) => Uint8Array {
  return (payload) => createHmac('sha256', key).update(payload).digest()
}

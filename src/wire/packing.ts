import { type Packr, RESET_BUFFER_MODE } from 'msgpackr'

/** What a larger value was packed into is not kept for those that follow. */
const KEPT_BYTES_MAX = 2 * 1024 * 1024
const FRESH_BYTES = 8 * 1024

/** A getter of a value may pack another one: the room is that of the outer one still, and may not be exchanged. */
let isPacking = false

/**
 * Packs a value into room that the next one is packed into as well: to be copied before anything else is packed. `isOwn`: it is a
 * large one, has the room for itself, and fills most of it.
 *
 * The room belongs to msgpackr, and is shared by every packer of the process, also those of other libraries. What they were given
 * may stand in it until it has been sent, so `useBuffer` with one of our own is no way: from then on they write into that one, and
 * we over them.
 */
export function packBriefly(
  packr: Packr,
  value: unknown,
): { readonly bytes: Buffer; readonly isOwn: boolean } {
  const isWithin = isPacking
  isPacking = true
  let bytes: Buffer
  try {
    bytes = packr.pack(value, RESET_BUFFER_MODE)
  } finally {
    isPacking = isWithin
  }
  const roomBytes = bytes.buffer.byteLength
  if (roomBytes <= KEPT_BYTES_MAX || isWithin) return { bytes, isOwn: false }
  packr.useBuffer(Buffer.allocUnsafeSlow(FRESH_BYTES))
  return { bytes, isOwn: 2 * bytes.length > roomBytes }
}

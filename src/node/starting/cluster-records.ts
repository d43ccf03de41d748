import { CLUSTER_FORMAT, CLUSTER_KEY, LAYOUT_VERSION } from '../../core/layout.js'
import { VirgaError } from '../../errors.js'
import type { Storage } from '../../ports/storage.js'
import { decodeFormat, encodeFormat } from '../../wire/records.js'
import { readOrMake } from './read-or-make.js'

const CLUSTER_KEY_BYTES = 32

/** Refuses a storage that is laid out in another way. Throws `StorageCorrupt`. */
export async function checkFormat(storage: Storage): Promise<void> {
  const layout = decodeFormat(await readOrMake(storage, CLUSTER_FORMAT, () => encodeFormat(LAYOUT_VERSION)))
  if (layout === LAYOUT_VERSION) return
  throw new VirgaError(
    'StorageCorrupt',
    `this storage has layout ${layout}; this version of virga reads ${LAYOUT_VERSION}`,
  )
}

/** The key that contexts are signed with, made at the first start of all. */
export async function clusterKey(
  storage: Storage,
  entropy: (bytes: number) => Uint8Array,
): Promise<Uint8Array> {
  return readOrMake(storage, CLUSTER_KEY, () => entropy(CLUSTER_KEY_BYTES))
}

import type { History } from '../../core/history.js'
import type { Origin } from '../../core/ids.js'
import type { Placed, SharedWrite } from '../../core/publication.js'
import type { Version } from '../../core/version.js'
import { mark } from '../../marks.js'
import type { Bounds } from '../bounds.js'
import type { ValueCache } from '../reading/value-cache.js'

/** An origin's places from `first` to `last`, as far as they fit an answer, with the values that are cached. */
export function placesFrom(
  history: History,
  values: ValueCache,
  origin: Origin,
  first: number,
  last: number,
  { answerPlacesMax, answerBytesMax }: Bounds,
): readonly Placed[] {
  const placed: Placed[] = []
  let bytes = 0
  for (let seq = first; seq <= last; seq++) {
    if (placed.length >= answerPlacesMax || bytes >= answerBytesMax) {
      mark(bytes >= answerBytesMax ? 'places.bytes-full' : 'places.full')
      break
    }
    const found = history.placed(origin, seq)
    if (found === undefined) break
    if (found.kind === 'compacted') {
      placed.push(found)
      continue
    }
    const versions = history.find(found.txn)?.versions ?? []
    const writes = found.publication.writes.map((write, i) => withValue(write, versions[i], values))
    for (const { value } of writes) if (value.kind === 'inline') bytes += value.bytes.length
    placed.push({ ...found, publication: { ...found.publication, writes } })
  }
  return placed
}

function withValue(write: SharedWrite, version: Version | undefined, values: ValueCache): SharedWrite {
  if (write.value.kind !== 'recorded' || version === undefined) return write
  const bytes = values.glance(version)
  return bytes === undefined ? write : { key: write.key, value: { kind: 'inline', bytes } }
}

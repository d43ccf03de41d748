import { blobKey, blobName } from '../../core/layout.js'
import { placeWrites } from '../../core/placement.js'
import { VirgaError } from '../../errors.js'
import { mark } from '../../marks.js'
import type { PeerReply, PeerRequestOf } from '../../wire/peer-messages.js'
import { packSharedWrite } from '../../wire/publications.js'
import type { NodeState } from '../state.js'
import type { HeldWriteSets } from './held-write-sets.js'

/**
 * A participant's part of a commit: its write sets, which are sealed since their handoff, with small values inline and
 * large ones as names of what it brought to storage first. It promises nothing and remembers nothing: until the decision
 * is written, nothing has happened. A crash here, or a coordinator that never decides, leaves values that no decision
 * names, to be swept once the attempt is fenced.
 */
export async function prepareWriteSets(
  state: NodeState,
  held: HeldWriteSets,
  { request, txn, attempt, deadlineMs, ids }: PeerRequestOf<'prepare'>,
): Promise<PeerReply> {
  const { world, clock, config, counters } = state
  counters.preparesAnswered++
  if (world.clock.now() > deadlineMs) {
    mark('prepare.late')
    throw new VirgaError('DeadlineExceeded', `the deadline of ${txn} has passed`)
  }
  const sets = ids.map((id) => {
    const writes = held.find(txn, id)
    if (writes === undefined) return null
    // Ids of write sets are unique, so are the names made from them: who prepares again writes the same again.
    let n = 0
    return placeWrites(writes, config, () => blobName(attempt, `v${id}:${n++}`))
  })
  const entries = sets.flatMap((placed) =>
    (placed?.blobs ?? []).map(({ blob, bytes }) => ({ ...blobKey(txn, blob), value: bytes })),
  )
  if (entries.length > 0) {
    mark('prepare.large')
    await world.storage.put(entries)
  }
  return {
    type: 'prepared',
    request,
    hlc: clock.tick(world.clock.precise()),
    sets: sets.map((placed) => (placed === null ? null : placed.writes.map(packSharedWrite))),
  }
}

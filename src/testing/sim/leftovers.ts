import type { Standing } from '../../core/decision.js'
import { hlcMs } from '../../core/hlc.js'
import { type Attempt, attemptHlc, type TxnId } from '../../core/ids.js'
import { minuteClosesAtMs, placedBlob, txnMinute } from '../../core/layout.js'
import { decodeBase, decodeGuard, decodeStanding } from '../../wire/records.js'
import type { Violation } from '../checkers/history.js'
import type { SimCluster } from './sim-cluster.js'
import { mayCommit } from './witness.js'

/** Minutes of ids close ten minutes after their end; guards are looked through in a bit more than an hour. */
const LEFTOVERS_MS_MAX = 90 * 60_000
/** What clocks of a run differ by, at most. */
const SKEW_MS_MAX = 5 * 60_000
const LOOK_EVERY_MS = 5 * 60_000
/** Beyond every window, and the margin after which tombstones go. */
const LEAP_MS = 6 * 60 * 60_000
/** Versions and decisions that a node may hold when nothing has happened for long. */
const HELD_MAX = 0

/**
 * The clocks of all machines leap, as if hours had passed, where ids are remembered for a short while only: then not even
 * markers are left, nor bases that say that a key is absent.
 */
export async function checkForgotten(cluster: SimCluster): Promise<Violation[]> {
  for (const machine of cluster.machines) machine.offsetMs += LEAP_MS
  const endMs = cluster.clock.monotonic() + LEFTOVERS_MS_MAX
  for (;;) {
    await cluster.clock.advance(LOOK_EVERY_MS)
    const found = await leftOfIds(cluster)
    if (found.length === 0) return []
    if (cluster.clock.monotonic() >= endMs) return found
  }
}

async function leftOfIds({ witness }: SimCluster): Promise<Violation[]> {
  const left: string[] = []
  for (const bucket of witness.buckets) {
    const [kind] = bucket.split('/')
    if (kind !== 'decision' && kind !== 'late' && kind !== 'tombstone') continue
    for await (const { id } of witness.list(bucket)) left.push(`${bucket} ${id}`)
  }
  return left.map((what) => ({ rule: 'left behind', what }))
}

/**
 * I10, and that nothing is left behind: when a cluster has been at rest for long, storage holds bases, markers and what
 * these refer to, and a node's memory next to nothing.
 */
export async function checkLeftovers(cluster: SimCluster): Promise<Violation[]> {
  const endMs = cluster.clock.monotonic() + LEFTOVERS_MS_MAX
  for (;;) {
    await cluster.clock.advance(LOOK_EVERY_MS)
    const found = [...(await leftInStorage(cluster)), ...heldInMemory(cluster)]
    if (found.length === 0) return []
    if (cluster.clock.monotonic() >= endMs) return found
  }
}

async function leftInStorage({ witness }: SimCluster): Promise<Violation[]> {
  const referred = new Set<string>()
  const left: string[] = []
  const standings = new Map<string, Standing>()
  for (const bucket of witness.buckets) {
    const kind = bucket.split('/')[0]!
    for await (const { id, value } of witness.list(bucket, { values: true })) {
      if (kind === 'base') {
        const base = decodeBase(value!)
        if (base.value.kind === 'blob') referred.add(`${base.txn}:${base.value.blob}`)
      } else if (kind === 'decision') {
        const standing = decodeStanding(value!)
        standings.set(id, standing)
        if (standing.status === 'committed') left.push(`the whole decision of ${id}`)
      } else if (kind === 'pin' || kind === 'order') left.push(`${bucket} ${id}`)
    }
  }
  for (const bucket of witness.buckets) {
    if (bucket.startsWith('guard/')) {
      for await (const { id, value } of witness.list(bucket, { values: true })) {
        // A claim of an attempt that may yet go on stays until someone meets it.
        const { claimant } = decodeGuard(value!)
        if (claimant === undefined || !mayCommit(standings.get(claimant.txn), claimant.attempt))
          left.push(`${bucket} ${id}`)
      }
    }
    if (!bucket.startsWith('value/')) continue
    for await (const { id } of witness.list(bucket)) {
      const placed = placedBlob(id)
      if (
        referred.has(id) ||
        witness.lateValues.has(id) ||
        (placed !== undefined && mayStay(placed, standings.get(placed.txn)))
      )
        continue
      left.push(`${bucket} ${id}`)
    }
  }
  return left.map((what) => ({ rule: 'left behind', what }))
}

function heldInMemory({ machines }: SimCluster): Violation[] {
  return machines.flatMap(({ name, node, isRetired }) => {
    if (isRetired) return []
    if (node === undefined) return [{ rule: 'I10 memory', what: `${name} does not serve` }]
    const counters = new Map(node.inspect().counters)
    const limits = {
      versions: HELD_MAX,
      decisions: HELD_MAX,
      heldBytes: 0,
      pins: 0,
      handedOver: 0,
      placesWaiting: 0,
      transactionsOpen: 0,
    }
    return Object.entries(limits).flatMap(([what, max]) => {
      const count = counters.get(what)
      if (count === undefined) throw new Error(`nodes count no ${what}`)
      return count <= max ? [] : [{ rule: 'I10 memory', what: `${name} holds ${count} ${what}` }]
    })
  })
}

/**
 * Of an attempt that may yet commit, a value stays for as long as deadlines may be; of one that began when the minute of
 * its id had been swept already, until that minute is retired.
 */
function mayStay(
  { txn, attempt }: { readonly txn: TxnId; readonly attempt: Attempt },
  standing: Standing | undefined,
): boolean {
  const isLate = hlcMs(attemptHlc(attempt)) > minuteClosesAtMs(txnMinute(txn)) - SKEW_MS_MAX
  return isLate || mayCommit(standing, attempt)
}

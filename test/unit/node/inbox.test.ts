import { expect, test } from 'vitest'
import type { Coordinates } from '../../../src/core/cut.js'
import { cutOf, EMPTY_CUT } from '../../../src/core/cut.js'
import { History } from '../../../src/core/history.js'
import type { Hlc } from '../../../src/core/hlc.js'
import { makeTxnId, type Origin } from '../../../src/core/ids.js'
import type { Placed } from '../../../src/core/publication.js'
import { DEFAULT_BOUNDS } from '../../../src/node/bounds.js'
import { Counters } from '../../../src/node/counters.js'
import { Inbox, type InboxParts } from '../../../src/node/sharing/inbox.js'
import { simulate } from '../../../src/testing/sim-clock.js'

const ORIGIN = 'other:1:0' as Origin

function inboxOf(
  waitingPlacesMax: number,
  turnPlacesMax = DEFAULT_BOUNDS.turnPlacesMax,
  learned: InboxParts['learned'] = () => 0,
) {
  const { clock } = simulate(1)
  const history = new History()
  const counters = new Counters()
  const ledger = {
    receive: (at: Coordinates, placed: Placed) =>
      void (placed.kind === 'decided' && history.apply(placed.txn, placed.publication, at)),
  }
  const bounds = { ...DEFAULT_BOUNDS, waitingPlacesMax, turnPlacesMax }
  const inbox = new Inbox({
    state: { history, counters, ledger, world: { clock }, config: { bounds } },
    learned,
    isLive: () => true,
    listedAtMs: () => 0,
    onStranded() {},
    onApplied() {},
  } as unknown as InboxParts)
  return { inbox, history, counters, clock }
}

const place = (seq: number): Placed => ({
  txn: makeTxnId(seq, new Uint8Array(10)),
  kind: 'decided',
  publication: { hlc: (seq * 1_000) as Hlc, cut: EMPTY_CUT, writes: [] },
})
const places = (first: number, last: number): Placed[] =>
  Array.from({ length: last - first + 1 }, (_, i) => place(first + i))

test('places that are far ahead do not take the room of the next one', () => {
  const { inbox, history, counters } = inboxOf(4)
  inbox.take(ORIGIN, 3, places(3, 9))
  expect([inbox.size, counters.placesDropped]).toEqual([2, 5])
  expect(inbox.isFull(ORIGIN)).toBe(false)
  inbox.take(ORIGIN, 1, places(1, 2))
  expect([history.seqOf(ORIGIN), inbox.size]).toEqual([4, 0])
  inbox.take(ORIGIN, 5, places(5, 9))
  expect(history.seqOf(ORIGIN)).toBe(8)
})

test('what is more than one turn may apply is applied in the next', async () => {
  const { inbox, history, clock } = inboxOf(100, 2)
  inbox.take(ORIGIN, 2, places(2, 7))
  inbox.take(ORIGIN, 1, places(1, 1))
  expect(history.seqOf(ORIGIN)).toBe(2)
  await clock.runUntilIdle()
  expect([history.seqOf(ORIGIN), inbox.size]).toEqual([7, 0])
})

test('what leaves out those who have departed waits until that is known here', () => {
  let learned = 1
  const { inbox, history } = inboxOf(4, undefined, () => learned)
  const leavingOut = (seq: number, departures: number): Placed => {
    const { txn } = place(seq)
    const publication = { hlc: (seq * 1_000) as Hlc, cut: cutOf([], departures), writes: [] }
    return { txn, kind: 'decided', publication }
  }
  inbox.take(ORIGIN, 1, [leavingOut(1, 1), leavingOut(2, 2), leavingOut(3, 1)])
  expect(history.seqOf(ORIGIN)).toBe(1)
  learned = 2
  inbox.pump()
  expect(history.seqOf(ORIGIN)).toBe(3)
})

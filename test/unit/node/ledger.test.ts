import { expect, test } from 'vitest'
import { type Cut, cutOf, departuresOf } from '../../../src/core/cut.js'
import type { Decision } from '../../../src/core/decision.js'
import { History } from '../../../src/core/history.js'
import { type Hlc, HybridClock } from '../../../src/core/hlc.js'
import type { Attempt, Origin, TxnId } from '../../../src/core/ids.js'
import { Counters } from '../../../src/node/counters.js'
import { Bases } from '../../../src/node/reading/bases.js'
import { Cache } from '../../../src/node/reading/cache.js'
import { ValueCache } from '../../../src/node/reading/value-cache.js'
import { Ledger } from '../../../src/node/sharing/ledger.js'
import { createMemoryStorage } from '../../../src/storage/memory.js'

const [HERE, GONE] = ['here@1', 'gone@1'] as unknown as readonly [Origin, Origin]

function ledgerWith(): { ledger: Ledger; history: History; published: Cut[] } {
  const storage = createMemoryStorage()
  const history = new History()
  const counters = new Counters()
  const cache = new Cache(1_000)
  const values = new ValueCache(storage, cache, counters)
  const bases = new Bases(storage, cache, counters)
  const ledger = new Ledger(HERE, history, new HybridClock(), values, bases, counters)
  const published: Cut[] = []
  ledger.listen({
    onPublished: (_at, _txn, { cut }) => void published.push(cut),
    onSettled() {},
    onTouched() {},
  })
  return { ledger, history, published }
}

const decided = (cut: Cut): Decision => ({
  status: 'committed',
  attempt: 'a' as Attempt,
  hlc: 5 as Hlc,
  cut,
  writes: [],
  claimed: false,
  result: undefined,
})

test('a decision that was found in storage may leave out whoever has departed: it is told so', () => {
  const { ledger, history, published } = ledgerWith()
  ledger.adopt('t1' as TxnId, decided(new Map()))
  expect(history.depart(GONE, 3, 2 as Hlc, 7)).toBe(true)
  ledger.adopt('t2' as TxnId, decided(new Map([[HERE, 1]])))
  // Whoever made it knows.
  ledger.publish('t3' as TxnId, decided(cutOf([[HERE, 2]], 6)))
  expect(published.map(departuresOf)).toEqual([0, 7, 6])
  expect(published[1]).toEqual(new Map([[HERE, 1]]))
})

test('what others have compacted, and this node may never have had, is compared with bases from then on', () => {
  const { ledger, history } = ledgerWith()
  ledger.adopt('t1' as TxnId, decided(new Map()))
  expect(history.horizon).toBe(0)
  ledger.foundCompacted(9 as Hlc)
  expect([history.horizon, history.unseen]).toEqual([9, 9])
  ledger.foundCompacted(4 as Hlc)
  expect(history.unseen).toBe(9)
})

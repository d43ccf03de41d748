import { expect, test } from 'vitest'
import { type Coordinates, type Cut, cutOf, EMPTY_CUT } from '../../../src/core/cut.js'
import { History } from '../../../src/core/history.js'
import type { Hlc } from '../../../src/core/hlc.js'
import type { Origin, TxnId } from '../../../src/core/ids.js'
import { hasYetToLearn, leftOutBy } from '../../../src/node/sharing/state-transfer.js'

const [A, B] = ['a@1', 'b@1'] as unknown as readonly [Origin, Origin]

function put(history: History, name: string, hlc: number, at: Coordinates, cut: Cut = EMPTY_CUT): void {
  history.apply(name as TxnId, { hlc: hlc as Hlc, cut, writes: [] }, at)
}

test('a state is not taken over of a node that has yet to learn that something in it stands beyond a last place', () => {
  const history = new History()
  expect(history.depart(A, 1, 1 as Hlc, 1)).toBe(true)
  const peer = new History()
  put(peer, 't1', 1, { origin: A, seq: 1 })
  expect(hasYetToLearn(peer.state(), history)).toBe(false)
  put(peer, 't2', 2, { origin: A, seq: 2 })
  expect(hasYetToLearn(peer.state(), history)).toBe(true)
  expect(hasYetToLearn(peer.state(), new History())).toBe(false)
  put(peer, 't2', 2, { origin: B, seq: 1 })
  expect(hasYetToLearn(peer.state(), history)).toBe(false)
})

test('a state tells up to which number it leaves out who has departed, be it in its vector or in a cut', () => {
  const peer = new History()
  put(peer, 't1', 1, { origin: B, seq: 1 })
  expect(leftOutBy(peer.state())).toBe(0)
  put(peer, 't2', 2, { origin: B, seq: 2 }, cutOf([[B, 1]], 2))
  expect(leftOutBy(peer.state())).toBe(2)
  peer.leaveOut([A], 3)
  expect(leftOutBy(peer.state())).toBe(3)
})

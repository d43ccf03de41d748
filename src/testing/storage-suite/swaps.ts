/** Compare-and-swap, alone and in races. */
import assert from 'node:assert/strict'
import {
  assertBytes,
  assertOneWinner,
  B,
  bytes,
  type Check,
  entry,
  ids,
  key,
  one,
  raise,
  standing,
  text,
} from './kit.js'

export function compareAndSwap(check: Check): void {
  check('compareAndSwap: from absent, to another value, to absent', async ({ storage }) => {
    assert.deepEqual(await storage.compareAndSwap(key('k'), undefined, bytes('1')), { swapped: true })
    const refused = await storage.compareAndSwap(key('k'), undefined, bytes('2'))
    assert.equal(refused.swapped, false)
    assert.equal(text(standing(refused)), '1')
    assert.deepEqual(await storage.compareAndSwap(key('k'), bytes('1'), bytes('2')), { swapped: true })
    assert.equal(text(await one(storage, 'k')), '2')
    const stale = await storage.compareAndSwap(key('k'), bytes('1'), undefined)
    assert.equal(stale.swapped, false)
    assert.equal(text(standing(stale)), '2')
    assert.deepEqual(await storage.compareAndSwap(key('k'), bytes('2'), undefined), { swapped: true })
    assert.equal(await one(storage, 'k'), undefined)
    const gone = await storage.compareAndSwap(key('k'), bytes('2'), bytes('3'))
    assert.equal(gone.swapped, false)
    assert.equal(standing(gone), undefined)
    assert.deepEqual(await storage.compareAndSwap(key('k'), undefined, bytes('4')), { swapped: true })
  })

  check('compareAndSwap: from absent to absent tells what stands and writes nothing', async ({ storage }) => {
    assert.deepEqual(await storage.compareAndSwap(key('k'), undefined, undefined), { swapped: true })
    assert.deepEqual(await ids(storage, B), [])
    await storage.put([entry('k', 'here')])
    assert.equal(text(standing(await storage.compareAndSwap(key('k'), undefined, undefined))), 'here')
    assert.equal(text(await one(storage, 'k')), 'here')
  })

  check('compareAndSwap: compares all the bytes, and nothing but the bytes', async ({ storage }) => {
    const stored = new Uint8Array([0, 255, 0, 13, 10, 0])
    await storage.put([{ ...key('k'), value: stored }])
    const near = [
      [],
      [0],
      [0, 255, 0, 13, 10],
      [0, 255, 0, 13, 10, 0, 0],
      [0, 255, 0, 13, 10, 1],
      [1, 255, 0, 13, 10, 0],
    ]
    for (const wrong of near) {
      const result = await storage.compareAndSwap(key('k'), new Uint8Array(wrong), bytes('no'))
      assert.equal(result.swapped, false)
      assertBytes(standing(result), stored)
    }
    // A view into a larger array must count as its own bytes only.
    const view = new Uint8Array([9, 9, ...stored, 9]).subarray(2, 8)
    assert.deepEqual(await storage.compareAndSwap(key('k'), view, view), { swapped: true })
    assertBytes(await one(storage, 'k'), stored)
  })

  check(
    'compareAndSwap: of 100 from absent one wins, and all the others are told the winner',
    async ({ storage }) => {
      const racers = Array.from({ length: 100 }, (_, n) =>
        storage.compareAndSwap(key('race'), undefined, bytes(`racer ${n}`)),
      )
      await assertOneWinner(storage, racers)
    },
  )

  check('compareAndSwap: a counter that 20 raise 10 times each loses nothing', async ({ storage }) => {
    await storage.put([entry('counter', '0')])
    await Promise.all(Array.from({ length: 20 }, () => raise(storage, 'counter', 10)))
    assert.equal(text(await one(storage, 'counter')), '200')
  })

  check('compareAndSwap: many keys at once, each answer to its own request', async ({ storage }) => {
    const taken = new Set(Array.from({ length: 250 }, (_, n) => n * 2))
    await storage.put([...taken].map((n) => entry(`n${n}`, `old ${n}`)))
    const results = await Promise.all(
      Array.from({ length: 500 }, (_, n) =>
        storage.compareAndSwap(key(`n${n}`), undefined, bytes(`new ${n}`)),
      ),
    )
    for (const [n, result] of results.entries()) {
      assert.equal(result.swapped, !taken.has(n))
      assert.equal(text(standing(result)), taken.has(n) ? `old ${n}` : undefined)
      assert.equal(text(await one(storage, `n${n}`)), `${taken.has(n) ? 'old' : 'new'} ${n}`)
    }
  })
}

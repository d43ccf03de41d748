/** Two instances over one data. */
import assert from 'node:assert/strict'
import { assertOneWinner, B, bytes, type Check, entry, ids, key, one, raise, standing, text } from './kit.js'

export function sharing(check: Check): void {
  check('two instances: each sees at once what the other was acknowledged', async ({ storage, another }) => {
    const other = await another()
    for (let n = 0; n < 50; n += 1) {
      assert.equal(await one(other, `n${n}`), undefined)
      assert.deepEqual(await storage.compareAndSwap(key(`n${n}`), undefined, bytes(`${n}`)), {
        swapped: true,
      })
      assert.equal(text(await one(other, `n${n}`)), `${n}`)
      assert.equal(text(standing(await other.compareAndSwap(key(`n${n}`), undefined, bytes('x')))), `${n}`)
      await other.put([entry(`n${n}`, 'over')])
      assert.equal(text(await one(storage, `n${n}`)), 'over')
    }
    assert.equal((await ids(storage, B)).length, 50)
    await other.delete(Array.from({ length: 50 }, (_, n) => key(`n${n}`)))
    assert.deepEqual(await ids(storage, B), [])
  })

  check('two instances: of 200 racers from absent one wins', async ({ storage, another }) => {
    const both = [storage, await another()]
    const racers = Array.from({ length: 200 }, (_, n) =>
      both[n % 2]!.compareAndSwap(key('race'), undefined, bytes(`racer ${n}`)),
    )
    await assertOneWinner(both[1]!, racers)
  })

  check('two instances: a counter that both raise loses nothing', async ({ storage, another }) => {
    const both = [storage, await another()]
    await storage.put([entry('counter', '0')])
    await Promise.all(Array.from({ length: 10 }, (_, n) => raise(both[n % 2]!, 'counter', 10)))
    assert.equal(text(await one(storage, 'counter')), '100')
  })

  check(
    'two instances: one that is closed leaves the data and the other alone',
    async ({ storage, another }) => {
      const other = await another()
      await other.put([entry('k', 'v')])
      await other.close()
      assert.equal(text(await one(storage, 'k')), 'v')
      assert.equal(text(await one(await another(), 'k')), 'v')
    },
  )
}

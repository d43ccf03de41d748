import { expect, test } from 'vitest'
import { CODE_BYTES, contextBytes, decodeContext } from '../../../src/wire/context.js'
import { twoMachines } from '../../support/two-machines.js'

/**
 * Somebody asks the second node of a commit before the first has told it: the second adopts it, and gives it a place of its own, which the
 * first hears of without anything else happening there. What executors read in the view by then they see by both places.
 */
test('a context that an executor made can be served for long, though its snapshot was given another name meanwhile', async () => {
  const { clock, first, other } = await twoMachines({
    leaseTtlMs: 2_000,
    collectEveryMs: 50,
    publishDelayMs: 20,
    deadlineMs: 60_000,
  })
  await clock.until(first.transaction((tx) => tx.put('a', 0)))
  await clock.until(other.transaction((tx) => tx.put('z', 0)))
  await clock.until(first.get('a'))
  await clock.advance(20_000)
  let id = ''
  await clock.until(
    first.transaction((tx) => {
      id = tx.id
      tx.put('a', 1)
    }),
  )
  expect(await clock.until(first.transaction((tx) => tx.get('a')))).toBe(1)
  expect((await clock.until(other.status(id))).status).toBe('committed')
  await clock.advance(300)
  const { context } = await clock.until(first.step(undefined, (tx) => tx.put('mine', 1)))
  expect(await clock.until(first.inspect())).toMatchObject({ passed: 1, handoffs: 0 })
  const bytes = contextBytes(context)
  const { cut } = decodeContext(bytes, () => bytes.subarray(-CODE_BYTES))
  // Of each origin two: the commit has a place in both orders.
  expect([...cut.values()]).toEqual([2, 2])
  for (let i = 0; i < 20; i++) {
    await clock.until(first.transaction((tx) => tx.put('a', i + 2)))
    await clock.advance(500)
  }
  for (const virga of [first, other]) {
    const tx = await clock.until(virga.resume(context))
    expect(await clock.until(tx.getMany(['a', 'not seen']))).toEqual([1, undefined])
    await tx.abort()
  }
})

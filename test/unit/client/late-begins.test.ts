import { expect, test } from 'vitest'
import { type Late, type LateBegin, LateBegins } from '../../../src/client/late-begins.js'
import { simulate } from '../../../src/testing/sim-clock.js'

class Begin implements LateBegin {
  told = 0

  register(): void {
    this.told++
  }
}

test('what is open for half a second is told, once, and not before a quarter', async () => {
  const { clock } = simulate(1)
  const late = new LateBegins(clock)
  // Begun at every moment of a second, and open for ever.
  const begins: { readonly begin: Begin; readonly atMs: number; toldMs: number | undefined }[] = []
  for (let ms = 0; ms < 2_000; ms += 10) {
    if (ms < 1_000) {
      const begin = new Begin()
      begins.push({ begin, atMs: clock.monotonic(), toldMs: undefined })
      late.add(begin)
    }
    await clock.advance(10)
    for (const each of begins) if (each.begin.told > 0) each.toldMs ??= clock.monotonic()
  }
  for (const { begin, atMs, toldMs } of begins) {
    expect(begin.told).toBe(1)
    expect(toldMs! - atMs).toBeGreaterThanOrEqual(250)
    expect(toldMs! - atMs).toBeLessThanOrEqual(510)
  }
})

test('what ends before that is never told', async () => {
  const { clock } = simulate(1)
  const late = new LateBegins(clock)
  const young = new Begin()
  const old = new Begin()
  const oldOne = late.add(old)
  await clock.advance(260)
  const youngOne = late.add(young)
  late.delete(oldOne)
  late.delete(youngOne)
  await clock.advance(5_000)
  expect([young.told, old.told]).toEqual([0, 0])
})

test('ending another as it is told is fine', async () => {
  const { clock } = simulate(1)
  const late = new LateBegins(clock)
  const second = new Begin()
  let secondOne: Late | undefined
  let told = 0
  const first: LateBegin = {
    register: () => {
      told++
      late.delete(secondOne)
    },
  }
  late.add(first)
  secondOne = late.add(second)
  await clock.advance(1_000)
  expect(told).toBe(1)
  expect(second.told).toBeLessThanOrEqual(1)
})

test('after one that was told of too late nothing is to begin without a message for a minute', async () => {
  const { clock } = simulate(1)
  const late = new LateBegins(clock)
  expect(late.areRefused).toBe(false)
  late.refused()
  await clock.advance(59_000)
  expect(late.areRefused).toBe(true)
  await clock.advance(1_001)
  expect(late.areRefused).toBe(false)
})

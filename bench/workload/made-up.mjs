// @ts-check
import { countAnomalies } from './anomalies.mjs'

const x = 'x'
const y = 'y'

/** Whether the counter sees what it should: run with every benchmark, since its zeros are only worth what its ones are. */
export function countMadeUp() {
  // 1 wrote both keys, then 2 did, one after the other.
  const [first, second] = [writer(1, 10, 20), writer(2, 30, 40)]
  const wrong = [
    // A new x, an old y; in either order, and with nothing there before all.
    reader(3, [x, second], [y, first]),
    reader(4, [y, first], [x, second]),
    reader(5, [x, first], [y, writer(0, 0, 0)]),
    // One key twice, and not the same.
    reader(6, [x, first], [x, second]),
  ]
  const right = [
    reader(7, [x, second], [y, second]),
    reader(8, [x, first], [y, first]),
    // Who of 2 and 9 was first, nobody can tell: they wrote at the same time.
    reader(10, [x, writer(9, 35, 45)], [y, second]),
  ]
  const own = { ...writer(11, 50, 60), reads: [{ key: x, tag: tagOfWriter(second), own: true }] }
  const all = [first, second, writer(9, 35, 45), own, ...wrong, ...right]
  const { fractured, readYourWrites } = countAnomalies(all)
  return { found: fractured + readYourWrites, expected: wrong.length + 1 }
}

/** @param {number} id @param {number} startMs @param {number} endMs @returns {import('./anomalies.mjs').Witnessed} */
function writer(id, startMs, endMs) {
  const times = { startMs, endMs }
  return {
    id,
    attempt: 1,
    reads: [],
    writes: new Map([
      [x, times],
      [y, times],
    ]),
  }
}

/** @param {import('./anomalies.mjs').Witnessed} by */
function tagOfWriter(by) {
  return { writer: by.id, attempt: by.attempt, writeSet: by.id === 0 ? [] : [x, y] }
}

/** @param {number} id @param {(readonly [string, import('./anomalies.mjs').Witnessed])[]} reads @returns {import('./anomalies.mjs').Witnessed} */
function reader(id, ...reads) {
  return {
    id,
    attempt: 1,
    reads: reads.map(([key, by]) => ({ key, tag: tagOfWriter(by), own: false })),
    writes: new Map(),
  }
}

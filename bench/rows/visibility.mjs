// @ts-check
import { monotonicMs, pause } from '../clock.mjs'
import { startCluster } from '../cluster.mjs'
import { timings } from '../histogram.mjs'
import { startModule, startRedis } from '../processes.mjs'

const PER_SECOND = 1_000
const KEYS = 10_000
/** Reads of the observer under way. */
const READS_MAX = 256
const LEAD_MS = 200
const PATIENCE_MS = 10_000
const SECOND_ROUND = 1_000_000

/**
 * How long a decision takes to be seen through another node. A process commits through node A at a fixed rate, however long
 * its commits take; this one reads through node B, about once a millisecond, what is due and was not seen yet. Both stamp on
 * the clock of the machine. A read's way back, and up to a millisecond until the next, are in the figures.
 */
export async function visibility(/** @type {import('../sections.mjs').Options} */ { quick }) {
  const redis = await startRedis()
  const [a, b] = await startCluster(redis.url, 2)
  if (a === undefined || b === undefined) throw new Error('there are no nodes')
  const committer = await startModule('load-process.mjs', [a.socket])
  // The first round warms up, and gives each key a version: a read of what nobody ever wrote would go to storage.
  await round(committer, b.virga, 0, quick ? 1_000 : KEYS)
  const count = quick ? 1_000 : 20 * PER_SECOND
  const { dueAtMs, ackedAtMs, seenAtMs } = await round(committer, b.virga, SECOND_ROUND, count)
  const [own, all, commit] = [timings(), timings(), timings()]
  let seen = 0
  for (let i = 0; i < count; i++) {
    const [due, acked, at] = [dueAtMs(i), ackedAtMs[i] ?? 0, seenAtMs[i] ?? 0]
    if (at === 0) continue
    seen++
    // One that was seen before its committer heard of it was seen in no time.
    own.add(Math.max(0, at - acked))
    all.add(at - due)
    commit.add(acked - due)
  }
  const name = `a decision seen on a peer, at ${PER_SECOND.toLocaleString('en')} commits a second`
  return [
    ms(`${name}, after its commit was acknowledged, p50`, own.p50()),
    ms('  the same, p99', own.p99(), 20),
    ms(
      '  after it was due, its commit included, p50 (against the commit alone)',
      all.p50(),
      undefined,
      commit.p50(),
    ),
    ms('  the same, p99', all.p99(), undefined, commit.p99()),
    {
      name: `  decisions of ${count.toLocaleString('en')} that were seen`,
      value: seen,
      unit: 'decisions',
      budget: String(count),
      holds: seen === count,
      counted: true,
    },
  ]
}

/**
 * @param {Awaited<ReturnType<typeof startModule>>} committer
 * @param {import('virga').Virga} observer
 * @param {number} base values of a round begin here, above those of the round before: so each shows which commit it is of
 * @param {number} count
 */
async function round(committer, observer, base, count) {
  const startAtMs = monotonicMs() + LEAD_MS
  const dueAtMs = (/** @type {number} */ i) => startAtMs + (i * 1_000) / PER_SECOND
  const load = {
    kind: 'open',
    keys: 'v',
    keysMax: KEYS,
    count,
    perSecond: PER_SECOND,
    startAtMs,
    base,
  }
  const reported = committer.ask(load)
  const seenAtMs = new Float64Array(count)
  /** @type {number[]} */
  let unseen = []
  let next = 0
  const look = async (/** @type {number} */ i) => {
    const value = Number(await observer.get(`va${i % KEYS}`))
    if (value >= base + i) seenAtMs[i] = monotonicMs()
  }
  while (next < count || unseen.length > 0) {
    const nowMs = monotonicMs()
    for (; next < count && dueAtMs(next) <= nowMs; next++) unseen.push(next)
    await Promise.all(unseen.slice(0, READS_MAX).map(look))
    unseen = unseen.filter((i) => seenAtMs[i] === 0)
    if (nowMs > dueAtMs(count) + PATIENCE_MS) break
    await pause(1)
  }
  const { ackedAtMs } = /** @type {{ ackedAtMs: readonly number[] }} */ (await reported)
  return { dueAtMs, ackedAtMs, seenAtMs }
}

/** @param {string} name @param {number} value @param {number} [budget] @param {number} [other] */
function ms(name, value, budget, other) {
  return {
    name,
    value: value / 1_000,
    unit: 'ms',
    ...(other === undefined ? {} : { against: other / 1_000 }),
    ...(budget === undefined ? {} : { budget: `< ${budget}`, holds: value / 1_000 < budget }),
  }
}

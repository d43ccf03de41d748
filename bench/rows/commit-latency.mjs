// @ts-check
import { Redis } from 'ioredis'
import { countPerOne } from '../count-per-one.mjs'
import { startEcho } from '../echo.mjs'
import { sideBySide } from '../histogram.mjs'
import { startNodeAndClient, startRedis } from '../processes.mjs'

/** A commit of two small writes on Redis, against the sum of what it can't do without: one message there and back, and one SET. */
export async function commitLatency(/** @type {import('../sections.mjs').Options} */ { quick, dice }) {
  const echo = await startEcho()
  const redis = await startRedis()
  const direct = new Redis(redis.url)
  const { virga } = await startNodeAndClient(redis.url)
  let n = 0
  const commitOf = (/** @type {number} */ writes) => () =>
    virga.transaction((tx) => {
      for (let i = 0; i < writes; i++) tx.put(`${i}/${n % 1_000}`, n)
      n++
    })
  const commit = commitOf(2)
  const message = () => [1, [3, 1, 0, ['key']]]
  const set = () => direct.set(`s${n++ % 1_000}`, 'v'.repeat(20))
  const options = { rounds: quick ? 200 : 4_000, each: 1, warmup: quick ? 200 : 2_000, dice }
  const times = await sideBySide({ echo: () => echo.echo(message()), set, commit }, options)
  // Apart: one more process that takes its turns on these cores makes each of the others slower.
  const echoThatWrites = await startEcho(redis.url)
  const floors = await sideBySide({ floor: () => echoThatWrites.echo(message()), commit }, options)
  const counted = []
  for (const writes of [2, 10, 100])
    counted.push({ writes, commands: await countPerOne(() => commandsOf(direct), commitOf(writes)) })
  direct.disconnect()
  await echo.stop()
  await echoThatWrites.stop()
  const { floor, commit: beside } = floors
  if (times.echo === undefined || times.set === undefined || times.commit === undefined)
    throw new Error('nothing was measured')
  if (floor === undefined || beside === undefined) throw new Error('nothing was measured')
  const sum = times.echo.p50Us + times.set.p50Us
  return [
    against('commit of 2 small writes, Redis, p50, against echo + SET', times.commit.p50Us, sum, 1.25),
    against('  commit, p50, against an echo that writes', beside.p50Us, floor.p50Us),
    against('  commit, p99, against an echo that writes', beside.p99Us, floor.p99Us),
    ...counted.map(({ writes, commands }) => ({
      name: `storage commands of a transaction of ${writes} small writes`,
      value: commands,
      unit: 'commands',
      budget: '1',
      holds: commands === 1,
      counted: true,
    })),
  ]
}

/** @param {string} name @param {number} value @param {number} other @param {number} [budget] */
function against(name, value, other, budget) {
  const ratio = value / other
  const verdict = budget === undefined ? {} : { budget: `<= ${budget}`, holds: ratio <= budget }
  return { name, value, unit: 'µs', against: other, ratio, ...verdict }
}

/** All that a server has been asked, as it counts that itself. @param {Redis} redis */
async function commandsOf(redis) {
  const stats = String(await redis.call('INFO', 'commandstats'))
  let calls = 0
  for (const [, command, count] of stats.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)) {
    if (!/^(info|config|ping)/.test(command ?? '')) calls += Number(count)
  }
  return calls
}

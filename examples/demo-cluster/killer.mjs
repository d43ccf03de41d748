// @ts-check
/**
 * Kills a node in the moment after it acknowledged a commit, which others may not have heard of; starts it again soon, or
 * when its lease has lapsed. Every other time it kills an executor too.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { event, say } from '../demo/narrator.mjs'
import { total } from './tally.mjs'

/** @typedef {import('./cluster.mjs').Machine} Machine */

/** Between a node that is back and the next kill. */
const CALM_MS = 1_200
/** Nodes stay away for one of these, in turn. The second is longer than a lease lasts. */
const AWAY_MS = [200, 3_500]
/** For a function to run in the executor that is killed; of a millisecond each. */
const IDLE_WAITS_MAX = 500
const AWAIT_COMMIT_MS_MAX = 2_000

/**
 * @param {readonly Machine[]} machines @param {import('./bank.mjs').Bank} bank
 * @param {import('./tally.mjs').Tally} tally @param {number} forMs
 */
export function killer(machines, bank, tally, forMs) {
  const kills = { nodes: 0, executors: 0, ended: Promise.resolve() }
  const until = performance.now() + forMs
  const time = () => `${tally.seconds.padStart(5)} s:`

  kills.ended = (async () => {
    for (let round = 0; ; round++) {
      const left = until - performance.now()
      if (left < CALM_MS) break
      await sleep(CALM_MS)
      const machine = /** @type {Machine} */ (machines[round % machines.length])
      if (round % 2 === 1)
        await killExecutor(/** @type {Machine} */ (machines[(round + 1) % machines.length]))
      // One that is away for long comes back before the end.
      const awayMs = Math.min(AWAY_MS[round % AWAY_MS.length] ?? 0, Math.max(0, until - performance.now()))
      await killNode(machine, awayMs)
      progress()
    }
    await sleep(Math.max(0, until - performance.now()))
  })()
  return kills

  /** @param {Machine} machine @param {number} awayMs */
  async function killNode(machine, awayMs) {
    const { pid, name } = machine
    const acknowledgedAt = await commitOn(machine)
    const { running } = machine
    await machine.kill()
    const deadMs = (performance.now() - acknowledgedAt).toFixed(1)
    kills.nodes++
    event(
      `node ${name}`,
      pid,
      `${time()} kill -9, dead ${deadMs} ms after it acknowledged a commit; ${running} functions ran`,
    )
    await sleep(awayMs)
    const startedAt = performance.now()
    await machine.start()
    const tookS = ((performance.now() - startedAt) / 1000).toFixed(1)
    event(
      `node ${name}`,
      machine.pid,
      `${time()} serves again, after ${(awayMs / 1000).toFixed(1)} s away and ${tookS} s to start`,
    )
  }

  /** @param {Machine} machine */
  async function killExecutor(machine) {
    for (let waits = 0; machine.running === 0 && waits < IDLE_WAITS_MAX; waits++) await sleep(1)
    const { pid, running } = await machine.killExecutor()
    kills.executors++
    event(`executor of ${machine.name}`, pid, `${time()} kill -9; ${running} functions ran in it`)
    await machine.startExecutor()
  }

  /** Resolves in the moment in which a commit on this machine is acknowledged. @param {Machine} machine */
  function commitOn(machine) {
    return new Promise((/** @type {(atMs: number) => void} */ resolve) => {
      const done = () => {
        clearTimeout(timer)
        bank.onCommit = () => undefined
        resolve(performance.now())
      }
      const timer = setTimeout(done, AWAIT_COMMIT_MS_MAX)
      bank.onCommit = (on) => {
        if (on === machine) done()
      }
    })
  }

  function progress() {
    const found = total(tally.anomalies) || 'no'
    const users = `${bank.booked.length} transfers, ${tally.of('audit')} audits`
    say(`   ${''.padEnd(28)} ${time()} ${users}, ${found} anomalies`)
  }
}

// @ts-check
import { monotonicMs } from '../clock.mjs'
import { tagged, tagOf } from './tag.mjs'

/** @typedef {import('./plan.mjs').Shape} Shape */
/** @typedef {import('./plan.mjs').Plan} Plan */
/** @typedef {import('../systems/system.mjs').Access} Access */
/** @typedef {import('../systems/system.mjs').Fn} Fn */
/** @typedef {import('./history.mjs').HistoryLog} HistoryLog */

/** The functions of a plan, for each attempt anew. Who wrote is not asked later. @param {Shape} shape @param {Plan} plan */
export function unrecorded(shape, plan) {
  const value = tagged({ writer: 1, writeSet: writeSetOf(plan) }, shape.valueBytes)
  const functions = plan.map(({ reads, writes }) => async (/** @type {Access} */ access) => {
    const values = await readAll(access, reads, shape.batched === true)
    // All keys were loaded: what is not there was lost, or never asked for.
    if (values.some((read) => read?.length !== shape.valueBytes)) throw new Error('a value is missing')
    for (const key of writes) await access.put(key, value)
  })
  return () => functions
}

/**
 * The functions of a plan, and what they saw.
 *
 * @param {Shape} shape @param {Plan} plan @param {number} id @param {boolean} atOnce @param {HistoryLog} [log]
 */
export function recorded(shape, plan, id, atOnce, log) {
  const value = tagged({ writer: id, writeSet: writeSetOf(plan) }, shape.valueBytes)
  /** @type {import('./anomalies.mjs').Witnessed} */
  let witnessed = { id, reads: [], writes: new Map() }
  let ranMs = 0
  /** @type {ReturnType<HistoryLog['begin']> | undefined} */
  let logged
  /** @returns {readonly Fn[]} */
  const start = () => {
    witnessed = { id, reads: [], writes: new Map() }
    logged = log?.begin()
    const { reads: seen, writes: written } = witnessed
    return plan.map(({ reads, writes }) => async (access) => {
      const values = await readAll(access, reads, shape.batched === true)
      for (const [i, key] of reads.entries()) {
        const tag = tagOf(values[i] ?? '')
        seen.push({ key, tag, own: written.has(key) })
        // What it reads of itself is no news, unless it is not of itself.
        if (tag.writer !== id) logged?.read(key, tag.writer)
      }
      for (const key of writes) {
        const startMs = monotonicMs()
        await access.put(key, value)
        if (!written.has(key)) logged?.write(key, id)
        written.set(key, { startMs, endMs: monotonicMs() })
      }
      ranMs = monotonicMs()
    })
  }
  const ended = () => {
    const endMs = monotonicMs()
    logged?.committed()
    if (atOnce)
      for (const key of witnessed.writes.keys()) witnessed.writes.set(key, { startMs: ranMs, endMs })
    return witnessed
  }
  return { start, ended }
}

/** @param {Access} access @param {readonly string[]} keys @param {boolean} batched */
async function readAll(access, keys, batched) {
  if (keys.length === 0) return []
  if (batched) return access.getMany(keys)
  const values = []
  for (const key of keys) values.push(await access.get(key))
  return values
}

/** @param {Plan} plan */
function writeSetOf(plan) {
  return [...new Set(plan.flatMap(({ writes }) => writes))]
}

// @ts-check
import { monotonicMs } from '../clock.mjs'
import { PLACE } from './history.mjs'
import { tagged, tagOf } from './tag.mjs'

/** @typedef {import('./plan.mjs').Shape} Shape */
/** @typedef {import('./plan.mjs').Plan} Plan */
/** @typedef {import('../systems/system.mjs').Access} Access */
/** @typedef {import('../systems/system.mjs').Attempt} Attempt */
/** @typedef {import('./history.mjs').HistoryRecorder} HistoryRecorder */

const unheard = () => {}

/** The functions of a plan, for each attempt anew. Who wrote is not asked later. @param {Shape} shape @param {Plan} plan */
export function unrecorded(shape, plan) {
  const value = tagged({ writer: 1, attempt: 1, writeSet: writeSetOf(plan) }, shape.valueBytes)
  const functions = plan.map(({ reads, writes }) => async (/** @type {Access} */ access) => {
    const values = await readAll(access, reads, shape.batched === true)
    // All keys were loaded: what is not there was lost, or never asked for.
    if (values.some((read) => read?.length !== shape.valueBytes)) throw new Error('a value is missing')
    for (const key of writes) await access.put(key, value)
  })
  const attempt = { functions, committed: unheard, aborted: unheard }
  return () => attempt
}

/**
 * The functions of a plan, and what they saw in the attempt that committed. What each attempt did goes into the history: its
 * values are its own, so that whoever reads one of an attempt that was given up is told apart.
 *
 * @param {Shape} shape @param {Plan} plan @param {number} id @param {boolean} atOnce @param {HistoryRecorder} [history]
 */
export function recorded(shape, plan, id, atOnce, history) {
  const writeSet = writeSetOf(plan)
  /** @type {import('./anomalies.mjs').Witnessed | undefined} */
  let counts
  let attempts = 0
  /** @returns {Attempt} */
  const start = () => {
    const attempt = ++attempts
    const value = tagged({ writer: id, attempt, writeSet }, shape.valueBytes)
    /** @type {import('./anomalies.mjs').Witnessed} */
    const witnessed = { id, attempt, reads: [], writes: new Map() }
    const { reads: seen, writes: written } = witnessed
    const record = history?.begin(PLACE)
    let ranMs = 0
    const functions = plan.map(({ reads, writes }) => async (/** @type {Access} */ access) => {
      const values = await readAll(access, reads, shape.batched === true)
      for (const [i, key] of reads.entries()) {
        const tag = tagOf(values[i] ?? '')
        seen.push({ key, tag, own: written.has(key) })
        record?.read(key, nameOf(tag))
      }
      for (const key of writes) {
        const startMs = monotonicMs()
        // Before it is made: it may have taken effect though it fails.
        if (!written.has(key)) record?.write(key, nameOf({ writer: id, attempt }))
        written.set(key, { startMs, endMs: startMs })
        await access.put(key, value)
        written.set(key, { startMs, endMs: monotonicMs() })
      }
      ranMs = monotonicMs()
    })
    const committed = () => {
      const endMs = monotonicMs()
      record?.committed(PLACE)
      if (atOnce) for (const key of written.keys()) written.set(key, { startMs: ranMs, endMs })
      counts = witnessed
    }
    return { functions, committed, aborted: () => record?.aborted() }
  }
  const ended = () => {
    if (counts === undefined) throw new Error(`transaction ${id} ended without a commit`)
    return counts
  }
  return { start, ended }
}

/** Of values that were there before all: nothing that is in the history. @param {{ writer: number, attempt: number }} tag */
function nameOf({ writer, attempt }) {
  return writer === 0 ? null : `${writer}.${attempt}`
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

// @ts-check
import {
  decisionBuckets,
  decodeLease,
  decodeStanding,
  encodeLease,
  encodeStanding,
  MEMBER_BUCKET,
  minuteAt,
  publicationFrames,
} from './internals.mjs'

/** @typedef {import('./cluster.mjs').SimulatedCluster} SimulatedCluster */
/** Mean bytes of something, and of its vectors: what names origins, and places of theirs. @typedef {{ bytes: number, vectors: number }} Anatomy */

const NONE = new Map()

/** Takes apart what nodes publish from now on. @param {SimulatedCluster} cluster */
export function publicationsOf(cluster) {
  const published = parts()
  const heartbeats = parts()
  cluster.onPublish = (frame) => {
    const [message] = publicationFrames.decode(frame)
    if (message?.type === 'published') {
      const placed = message.placed.map(
        ([txn, kind, hlc, departures, , writes]) =>
          /** @type {const} */ ([txn, kind, hlc, departures, [], writes]),
      )
      published.add(frame, publicationFrames.encode([{ ...message, origins: [], placed }]))
    } else if (message !== undefined) {
      heartbeats.add(frame, publicationFrames.encode([{ ...message, applied: [], compacted: [] }]))
    }
  }
  return () => ({ published: published.mean(), heartbeat: heartbeats.mean() })
}

/** Of what stands in storage: leases, and decisions that are not compacted yet. @param {SimulatedCluster} cluster */
export async function recordsOf({ engine, clock }) {
  const leases = parts()
  const decisions = parts()
  for await (const { value } of engine.list(MEMBER_BUCKET, { values: true })) {
    if (value !== undefined)
      leases.add(value, encodeLease({ ...decodeLease(value), low: NONE, applied: NONE }))
  }
  for (const bucket of decisionBuckets(minuteAt(clock.now()))) {
    for await (const { value } of engine.list(bucket, { values: true })) {
      const standing = value && decodeStanding(value)
      if (standing?.status === 'committed') decisions.add(value, encodeStanding({ ...standing, cut: NONE }))
    }
  }
  return { lease: leases.mean(), decision: decisions.mean() }
}

/** Bytes of the string that a function hands on, which has written one small value. @param {SimulatedCluster} cluster */
export async function contextBytes(cluster) {
  const { virga } = /** @type {import('./cluster.mjs').SimulatedNode} */ (cluster.nodes[0])
  const handOff = async () => {
    const tx = await virga.begin()
    tx.put('key', 'value')
    return tx.handoff()
  }
  return (await cluster.clock.until(handOff())).length
}

function parts() {
  let count = 0
  let bytes = 0
  let vectors = 0
  return {
    /** @param {Uint8Array | undefined} whole @param {Uint8Array} bare */
    add(whole, bare) {
      if (whole === undefined) return
      count++
      bytes += whole.length
      vectors += whole.length - bare.length
    },
    /** @returns {Anatomy} */
    mean: () => ({ bytes: bytes / Math.max(1, count), vectors: vectors / Math.max(1, count) }),
  }
}

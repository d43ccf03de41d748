// @ts-check
import { pause } from '../clock.mjs'
import { collected } from '../cluster.mjs'
import { throughput } from '../histogram.mjs'
import {
  anonymousBytes,
  mappedBytes,
  peakResidentBytes,
  residentBytes,
  startNodeAndClient,
  startRedis,
  temporaryFolder,
} from '../processes.mjs'
import { storedInLmdb, storedInRedis } from '../stored.mjs'

const KEYS = 10_000
const MIB = 1024 * 1024
const BUDGET = 1.5
/** A node at rest gives back what it needed under load, a part at a time. */
const LOOK_MS = 2_000
const LOOKS = 5
const LOOKS_MAX = 40
const FALLS_SHARE = 0.02

/**
 * What the node holds in memory, and what storage holds, after few and after many versions of the same keys. On both engines at once:
 * nothing here is a time.
 */
export async function memory(/** @type {import('../sections.mjs').Options} */ { quick }) {
  const folder = `${temporaryFolder()}/data`
  const redis = await startRedis()
  const grown = await Promise.all([
    growth('LMDB', `lmdb:${folder}?sync=false`, () => storedInLmdb(folder), quick, folder),
    growth('Redis', redis.url, () => storedInRedis(redis.url), quick),
  ])
  return grown.flat()
}

/**
 * @param {string} engine @param {string} storage @param {() => Promise<import('../stored.mjs').Stored>} look @param {boolean} quick
 * @param {string} [folder] of files that the node has mapped
 */
async function growth(engine, storage, look, quick, folder) {
  const { virga, stop, pid, ask } = await startNodeAndClient(storage)
  const few = 20_000
  const many = quick ? 40_000 : 1_000_000
  let written = 0
  const writeUpTo = async (/** @type {number} */ versions) => {
    const commits = (versions - written) / 2
    await throughput(256, commits, (i) =>
      virga.transaction((tx) => {
        tx.put(`k${(2 * i) % KEYS}`, i)
        tx.put(`k${(2 * i + 1) % KEYS}`, i)
      }),
    )
    written = versions
    if (!quick) {
      await collected([{ virga }])
      await settled(pid)
    }
    const { versions: held, keys } = await virga.inspect()
    const cached = folder === undefined ? 0 : mappedBytes(pid, folder)
    return {
      cached,
      resident: residentBytes(pid) - cached,
      own: anonymousBytes(pid),
      heap: Number(await ask('heap')),
      held: Number(held),
      keys: Number(keys),
      stored: await look(),
    }
  }
  const before = await writeUpTo(few)
  const after = await writeUpTo(many)
  const peak = peakResidentBytes(pid)
  await stop()
  /** @param {string} name @param {string} unit @param {number} value @param {number} against @param {number} [budget] */
  const line = (name, unit, value, against, budget) => {
    const ratio = against === 0 ? undefined : value / against
    // Without time for collection nothing is told of what it bounds.
    const verdict =
      quick || budget === undefined || ratio === undefined
        ? {}
        : { budget: `<= ${budget}`, holds: ratio <= budget }
    return { name, value, unit, against, ...(ratio === undefined ? {} : { ratio }), ...verdict }
  }
  const [a, b] = [after.stored, before.stored]
  const mib = (/** @type {number} */ bytes) => bytes / MIB
  return [
    line(
      `resident memory of the node on ${engine}${folder === undefined ? '' : ', less page cache,'} after ${many.toLocaleString('en')} versions, against ${few.toLocaleString('en')}`,
      'MiB',
      mib(after.resident),
      mib(before.resident),
      BUDGET,
    ),
    ...(folder === undefined
      ? []
      : [
          line(
            '  with the pages of its file that are mapped, which are page cache',
            'MiB',
            mib(after.resident + after.cached),
            mib(before.resident + before.cached),
          ),
        ]),
    line('  of it neither code nor mapped files', 'MiB', mib(after.own), mib(before.own)),
    line('  of it in use by JavaScript, without garbage', 'MiB', mib(after.heap), mib(before.heap)),
    { name: '  at its highest on the way', value: mib(peak), unit: 'MiB' },
    line('  versions in chains', 'versions', after.held, before.held),
    line('  records in storage, without markers', 'records', a.live.records, b.live.records, BUDGET),
    line('  bytes of them', 'MiB', mib(a.live.bytes), mib(b.live.bytes), BUDGET),
    line('  markers, which stay for two days', 'records', a.markers.records, b.markers.records),
    line('  bytes of them', 'MiB', mib(a.markers.bytes), mib(b.markers.bytes)),
    line(
      engine === 'LMDB' ? '  file of LMDB' : '  memory of Redis',
      'MiB',
      mib(a.diskBytes),
      mib(b.diskBytes),
    ),
  ]
}

/** Waits until what a process is resident with falls no more. @param {number} pid */
async function settled(pid) {
  let least = residentBytes(pid)
  for (let looks = 0, all = 0; looks < LOOKS && all < LOOKS_MAX; looks++, all++) {
    await pause(LOOK_MS)
    const now = residentBytes(pid)
    if (now >= least * (1 - FALLS_SHARE)) continue
    least = now
    looks = 0
  }
}

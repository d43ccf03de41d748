// @ts-check
import { throughput } from '../histogram.mjs'
import { residentBytes, startNodeAndClient, temporaryFolder } from '../processes.mjs'

const KEYS = 10_000
const MIB = 1024 * 1024

/** What the node holds in memory after many versions of the same keys. */
export async function memory(/** @type {import('../run.mjs').Options} */ { quick }) {
  const { virga, stop, pid } = await startNodeAndClient(`lmdb:${temporaryFolder()}/data?sync=false`)
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
  }
  await writeUpTo(few)
  const before = residentBytes(pid)
  await writeUpTo(many)
  const after = residentBytes(pid)
  await stop()
  return [
    {
      name: `resident memory of the node after ${many.toLocaleString('en')} versions, against ${few.toLocaleString('en')}`,
      value: after / MIB,
      unit: 'MiB',
      against: before / MIB,
      ratio: after / before,
    },
  ]
}

// @ts-check
import { median, throughput } from '../histogram.mjs'
import { startNodeAndClient, temporaryFolder } from '../processes.mjs'

/** The order of the demo: reserve in two parallel branches, join, charge, confirm. Five functions, four handoffs, one commit. */
export async function orderPipeline(/** @type {import('../sections.mjs').Options} */ { quick }) {
  const { virga, stop } = await startNodeAndClient(`lmdb:${temporaryFolder()}/data`)
  const order = async (/** @type {number} */ i) => {
    const root = await virga.step(undefined, (tx) => tx.put(`order:${i % 1_000}`, { status: 'new' }))
    const branches = await Promise.all(
      ['pen', 'ink'].map((item) =>
        virga.step(root.context, async (tx) => {
          const stock = /** @type {number | undefined} */ (await tx.get(`stock:${item}:${i % 100}`)) ?? 1_000
          tx.put(`stock:${item}:${i % 100}`, stock - 1)
        }),
      ),
    )
    const charged = await virga.step(
      branches.map(({ context }) => context),
      async (tx) => {
        await tx.get(`order:${i % 1_000}`)
        tx.put(`account:${i % 100}`, i)
      },
    )
    const confirmed = await virga.step(charged.context, (tx) =>
      tx.put(`order:${i % 1_000}`, { status: 'confirmed' }),
    )
    await virga.commit(confirmed.context, { result: i })
  }
  const rows = []
  for (const inFlight of [1, 40]) {
    const rates = []
    for (let round = 0; round < (quick ? 1 : 3); round++)
      rates.push(await throughput(inFlight, quick ? 50 : 1_000, order))
    rows.push({
      name: `order pipeline of 5 functions, LMDB, ${inFlight} in flight`,
      value: median(rates),
      unit: '/s',
    })
  }
  await stop()
  return rows
}

import { expect, test } from 'vitest'
import { type Cut, covers } from '../../src/core/cut.js'
import { parseTxnId } from '../../src/core/ids.js'
import { CLUSTER_WATERMARK, leaseKey } from '../../src/core/layout.js'
import { decodeLease, decodeWatermark } from '../../src/wire/records.js'
import { encodeSnapshot, type SnapshotRecord } from '../../src/wire/view.js'
import { type Cluster, withCluster } from '../support/cluster-in-process.js'
import { idOf } from '../support/ids.js'
import { RawExecutor } from '../support/raw-executor.js'

/** An executor that begins with snapshots of its own making. Its handles are open until it is gone. */
class Forger {
  readonly #cluster: Cluster
  readonly #raw: RawExecutor
  #handle = 0

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    this.#raw = new RawExecutor(cluster.hub.link(), 'forger')
  }

  /** What it is answered: the code of an error, or `begun`. */
  async begin(snapshot: Uint8Array): Promise<string> {
    const handle = ++this.#handle
    const id = parseTxnId(idOf(this.#cluster, 0))
    const rest = { keyed: false, deadlineMs: null, consistency: null, after: null, lookup: false }
    this.#raw.send(
      { type: 'begin', request: handle * 2, handle, id, ...rest, snapshot },
      { type: 'ping', request: handle * 2 + 1 },
    )
    await this.#cluster.clock.advance(10)
    const reply = this.#raw.received.find(({ request }) => request === handle * 2)
    return reply?.type === 'error' ? reply.code : (reply?.type ?? 'nothing')
  }
}

const forged = (of: Partial<SnapshotRecord>): Uint8Array =>
  encodeSnapshot({ moment: 1, epoch: 0, vector: new Map(), ...of })

test('a snapshot is read as its executor took it, whatever another one sends of the same moment', async () => {
  // Number 0 is how many departures it takes for known, 1 an origin.
  for (const vector of [new Map<number, number>(), new Map([[0, 1_000]]), new Map([[1, 1_000]])]) {
    await withCluster(async (cluster) => {
      await cluster.boot()
      const honest = cluster.client()
      const writer = cluster.client({ view: 'off' })
      const forger = new Forger(cluster)
      await cluster.until(writer.transaction((tx) => tx.put('a', 1)))
      await cluster.clock.advance(100)
      const tx = await cluster.until(honest.begin())
      await cluster.until(writer.transaction((other) => other.put('b', 2)))
      // Whichever it is of these.
      for (let moment = 0; moment <= 6; moment++) await forger.begin(forged({ moment, vector }))
      expect(await cluster.until(tx.getMany(['a', 'b']))).toEqual([1, undefined])
      await tx.abort()
    })
  }
})

test('what was never a snapshot is refused, or taken for one that is', async () => {
  await withCluster(async (cluster) => {
    await cluster.boot()
    cluster.client()
    const forger = new Forger(cluster)
    const writer = cluster.client()
    await cluster.until(writer.transaction((tx) => tx.put('a', 1)))
    await cluster.until(writer.transaction((tx) => tx.put('b', 1)))
    const short = forged({}).subarray(0, 10)
    expect(await forger.begin(short)).toBe('Malformed')
    for (const moment of [Number.NaN, -1, 0.5, Number.POSITIVE_INFINITY, 2 ** 60])
      expect(await forger.begin(forged({ moment })), `${moment}`).toBe('Malformed')
    for (const epoch of [Number.NaN, -1, 1, Number.NEGATIVE_INFINITY])
      expect(await forger.begin(forged({ epoch })), `${epoch}`).toBe('SnapshotTooOld')
    expect(await forger.begin(forged({ moment: 1_000 }))).toBe('SnapshotTooOld')
    expect(await forger.begin(forged({ vector: new Map([[77, 1]]) }))).toBe('Malformed')
    expect(await forger.begin(forged({ vector: new Map([[0, Number.NaN]]) }))).toBe('Malformed')
    // What departed later than the node itself has heard of would be taken for seen.
    expect(await forger.begin(forged({ vector: new Map([[0, 1]]) }))).toBe('SnapshotTooOld')
    expect(await cluster.until(writer.get('a'))).toBe(1)
    expect(cluster.logged).toEqual([])
  })
})

test('what a node has promised not to need it does not need again, whatever snapshots it is sent', async () => {
  await withCluster(async (cluster) => {
    await cluster.boot({ collectEveryMs: 100, leaseTtlMs: 2_000 })
    const forger = new Forger(cluster)
    // Somebody has the view open, or the node would promise more.
    cluster.client()
    const writer = cluster.client({ view: 'off' })
    for (let i = 0; i < 5; i++) {
      await cluster.until(writer.transaction((tx) => tx.put('a', i)))
      await cluster.clock.advance(1_000)
    }
    // So that there is a moment that is not the newest, and not below what was promised either.
    await cluster.until(writer.transaction((tx) => tx.put('a', 5)))
    const answers = []
    for (let moment = 0; moment <= 6; moment++) answers.push(await forger.begin(forged({ moment })))
    expect(answers).toContain('begun')
    expect(answers).toContain('SnapshotTooOld')
    await cluster.clock.advance(3_000)
    const [watermark, lease] = await cluster.until(cluster.storage.get([CLUSTER_WATERMARK, leaseKey('n1')]))
    const inForce: Cut = decodeWatermark(watermark!).cut
    expect(inForce.size).toBe(1)
    expect(covers(decodeLease(lease!).low, inForce)).toBe(true)
  })
})

import type { Context } from '../../core/context.js'
import { type Cut, departuresOf } from '../../core/cut.js'
import { VirgaError } from '../../errors.js'
import { mark } from '../../marks.js'
import type { PeerReply, PeerRequestOf } from '../../wire/peer-messages.js'
import { packCut, unpackCut } from '../../wire/types.js'
import type { Membership } from '../cluster/membership.js'
import type { Peers } from '../cluster/peers.js'
import { joinWatermark } from '../collecting/join-watermark.js'
import type { Snapshots } from '../collecting/snapshots.js'
import type { World } from '../world.js'

/** For so many times to live: until then who took it over has told of it in a lease, or is taken for dead. */
const KEPT_TTLS = 2

export interface AdmissionParts {
  readonly world: World
  readonly snapshots: Snapshots
  readonly membership: Membership
  readonly peers: Peers
  readonly leaseTtlMs: number
  /** Snapshots that are kept for others a while longer. */
  readonly keptMax: number
}

/**
 * Whether a snapshot that another node handed over may still be read, and from then on is kept.
 *
 * The usual case costs nothing: it is at or above what this node has promised to need, so nobody collects beyond it. Else it
 * is older than that, as those of long DAGs are: then its sender, which keeps it until the transaction ends, is asked to keep
 * it until this node's next lease tells of it. If that one is gone, this node's lease is renewed at once, with the snapshot
 * in it; then the watermark record is joined, so that none is raised that was computed before; what is in force then
 * is what was collected. A pin in storage has kept that below a durable context's cut.
 */
export class Admission {
  readonly #parts: AdmissionParts
  #kept = 0

  constructor(parts: AdmissionParts) {
    this.#parts = parts
  }

  /** Resolves to what ends the keeping, to be called when the transaction is open. Rejects with `SnapshotTooOld`, `SnapshotUnavailable`. */
  async admit({ txn, cut, sender }: Pick<Context, 'txn' | 'cut' | 'sender'>): Promise<() => void> {
    const { snapshots } = this.#parts
    // Members have heard of them all before any cut leaves them out.
    if (!snapshots.knowsDepartedOf(cut)) {
      throw new VirgaError(
        'SnapshotUnavailable',
        `the node was out of touch: it can't read the snapshot of ${txn}`,
      )
    }
    // At once, so that every lease from now on counts it.
    const { confirm, release } = snapshots.holdUnsure(cut)
    try {
      if (snapshots.keeps(txn, cut)) {
        mark('admit.promised')
        confirm()
        return release
      }
      const peer = this.#parts.peers.byOrigin(sender)
      const ask = { type: 'keep', txn, cut: packCut(cut), departures: departuresOf(cut) } as const
      const kept = await peer?.ask(ask, ['kept']).catch((error: unknown) => {
        this.#parts.world.log.debug({ err: error, txn }, 'the sender of a context does not answer')
        return undefined
      })
      if (kept?.kept === true || (await this.#isInStorage(cut))) {
        mark(kept?.kept === true ? 'admit.kept' : 'admit.joined')
        confirm()
        return release
      }
    } catch (error) {
      release()
      throw error
    }
    release()
    mark('admit.refused')
    throw new VirgaError(
      'SnapshotTooOld',
      `the snapshot of ${txn} is older than what is kept: others may have collected what it needs`,
    )
  }

  /** Answers who took a context over. */
  answer({ request, txn, cut: places, departures }: PeerRequestOf<'keep'>): PeerReply {
    const { snapshots, membership, world, leaseTtlMs, keptMax } = this.#parts
    const cut = unpackCut(places, departures)
    const isFull = this.#kept >= keptMax
    if (isFull) mark('admit.full')
    if (isFull || !membership.isFresh() || !snapshots.keeps(txn, cut)) {
      return { type: 'kept', request, kept: false }
    }
    const release = snapshots.hold(cut)
    this.#kept++
    world.clock.timer(leaseTtlMs * KEPT_TTLS, () => {
      this.#kept--
      release()
    })
    return { type: 'kept', request, kept: true }
  }

  async #isInStorage(cut: Cut): Promise<boolean> {
    await this.#parts.membership.renew()
    return this.#parts.snapshots.includesWatermark(cut, await joinWatermark(this.#parts.world.storage))
  }
}

import type { Cut } from '../../core/cut.js'
import type { Try } from '../../core/decision.js'
import type { History } from '../../core/history.js'
import type { HybridClock } from '../../core/hlc.js'
import type { TxnId } from '../../core/ids.js'
import { VirgaError } from '../../errors.js'
import { mark } from '../../marks.js'
import type { World } from '../world.js'
import { Claiming } from './claiming.js'
import type { Decisions } from './decisions.js'
import { Sightings } from './sightings.js'

export interface ClaimsParts {
  readonly world: Pick<World, 'clock' | 'random' | 'storage' | 'log'>
  readonly clock: HybridClock
  readonly decisions: Pick<Decisions, 'find' | 'fence'>
  readonly history: Pick<History, 'find'>
  readonly counters: ClaimCounters
  readonly sightingsMax?: number
  /** Whether a snapshot of this node is still one that compaction waits for. */
  readonly fresh: (cut: Cut) => boolean
  /** Makes a commit visible on this node. */
  readonly adopt: (txn: TxnId) => Promise<void>
}

export interface ClaimCounters {
  /** Times that a key was lost to a rival. */
  conflicts: number
  /** Waits for an undecided claim of another. */
  claimWaits: number
  /** Attempts of others that were fenced, to go on. */
  claimsFenced: number
}

/** The claims of one attempt: they stand until it is decided, or are taken back. */
export interface Claimed {
  /**
   * For an attempt that failed: fences it, unless it has committed, and takes its claims back, so that nobody has to wait
   * for them. Best effort: what stays is fenced by whoever meets it. Never throws; takes as long as its storage
   * operations do, at most.
   */
  release(): Promise<void>
}

/**
 * Claims keys for transactions that must lose no update. core/claim.ts says why none is lost; this is how:
 *
 * - All guards are read in one batch, then swapped at once: two round trips where nobody is in the way and the history knows the last
 *   writers. A third where it does not.
 * - Of two that are undecided the younger gives way: it takes its claims back, and then waits a little for the older, so that its
 *   retry begins after it. The older waits a little too, holding its claims, since the younger mostly commits in the next moment and a
 *   fence would only undo its work; then it fences. Nobody waits for an older one with claims in hand, so no circle closes. Rejected: that the younger waits
 *   where it stands. Writers of several hot keys then block each other until patience ends and fences fly; they commit fewer and do
 *   twice as much in storage.
 * - A claim that has stood for very long is fenced by the younger as well: its owner must be dead, and nothing waits for a dead process.
 * - Whatever a crash leaves behind is a claim of an attempt that is not decided, which is that same case.
 */
export class Claims {
  readonly #parts: ClaimsParts
  readonly #sightings: Sightings

  constructor(parts: ClaimsParts) {
    this.#parts = parts
    this.#sightings = new Sightings(parts.sightingsMax)
  }

  /**
   * Claims every key for an attempt that reads at `cut`. Throws `Conflict` (what is in the way is visible on this node
   * then, if it committed), `AttemptFenced`, `SnapshotTooOld`, `DeadlineExceeded`, `StorageUnavailable` or
   * `StorageCorrupt`, always definite; what was claimed is taken back.
   */
  async claim(by: Try, cut: Cut, keys: readonly string[], deadlineMs: number): Promise<Claimed> {
    const claiming = new Claiming(this.#parts, this.#sightings, { by, cut, deadlineMs })
    try {
      await claiming.run(keys)
      // Asked once all claims are in place, and not again: guards and records that every live cut includes may be gone,
      // so up to here this cut must have been a live one. From here on a rival has to meet the claims: whatever this node misses
      // while it pauses, either it finds its attempt fenced, or nobody has written its keys.
      if (!this.#parts.fresh(cut)) {
        mark('claim.too-old')
        throw new VirgaError(
          'SnapshotTooOld',
          'this node has lost touch with its cluster: its snapshots are no more',
        )
      }
      return claiming
    } catch (error) {
      await claiming.release()
      throw await this.#explain(error, claiming)
    }
  }

  async #explain(error: unknown, claiming: Claiming): Promise<unknown> {
    if (!VirgaError.is(error)) return error
    if (error.outcome === 'indefinite') {
      return new VirgaError(error.code, `${error.message}; nothing was decided`, { cause: error })
    }
    if (error.code !== 'Conflict') return error
    try {
      await claiming.awaitRival()
      return error
    } catch (cause) {
      return new VirgaError('Conflict', error.message, { cause })
    }
  }
}

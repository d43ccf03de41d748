import type { TxnId } from '../../core/ids.js'
import {
  CLUSTER_CEILING,
  CLUSTER_CHECKPOINT,
  CLUSTER_SWEPT,
  CLUSTER_SWEPT_VALUES,
  lateKey,
  MINUTE_MS,
  MINUTE_OPEN_MS,
  minuteAt,
  minuteClosesAtMs,
} from '../../core/layout.js'
import type { Storage } from '../../ports/storage.js'
import { decodeMinute, encodeMinute } from '../../wire/records.js'
import { readOrMake } from '../starting/read-or-make.js'
import { raiseMinute } from './minute-record.js'

/** The ceiling is raised by so much, so that it costs a write in a while and not one a commit. */
const AHEAD_MINUTES = 10
/** A pause between looking at the clock and writing should not carry a decision past the closing of its minute. */
const LATE_MARGIN_MS = MINUTE_OPEN_MS / 2
const EMPTY = new Uint8Array(0)
const DEFAULT_WINDOW_MS = 24 * 60 * MINUTE_MS

/**
 * Which minutes a boot looks through: from the checkpoint, before which no decision is, to the ceiling, after which none
 * is. Both are in storage, since no clock can be asked: one that was wrong for a while and was set right, either way,
 * must not hide what was acknowledged meanwhile.
 *
 * So before a decision is written, its minute must be under the ceiling; and if it is below the checkpoint, or closed, or
 * soon to be, the decision is announced in a `late` bucket of a minute that is looked through. An announcement is good until its own
 * minute closes. It is looked at again when the decision has been written: what took longer than anyone foresaw, since the
 * process stood still, is announced then, before anyone is told of it. And what is closed is told by the fastest clock of the
 * cluster that is known of: others go by theirs where they have lost sight of this node, and it may not know yet that they did.
 */
export class Minutes {
  readonly #storage: Storage
  readonly #skewMs: number
  #checkpoint: number
  #ceiling: number
  #raising: Promise<void> | undefined
  #aheadMs: () => number = () => 0

  /** @param windowMs how old an id may be that is committed: what is written for it lies in that old a minute */
  static async open(
    storage: Storage,
    nowMs: number,
    skewMs: number,
    windowMs = DEFAULT_WINDOW_MS,
  ): Promise<Minutes> {
    const first = oldestOpen(nowMs)
    const checkpoint = decodeMinute(await readOrMake(storage, CLUSTER_CHECKPOINT, () => encodeMinute(first)))
    // Before anyone raises the checkpoint, so that nothing is left unswept below it.
    const oldest = Math.max(0, checkpoint - Math.ceil(windowMs / MINUTE_MS) - 1)
    for (const place of [CLUSTER_SWEPT, CLUSTER_SWEPT_VALUES])
      await readOrMake(storage, place, () => encodeMinute(oldest))
    const above = minuteAt(nowMs + skewMs) + AHEAD_MINUTES
    const ceiling = decodeMinute(await readOrMake(storage, CLUSTER_CEILING, () => encodeMinute(above)))
    return new Minutes(storage, skewMs, checkpoint, ceiling)
  }

  private constructor(storage: Storage, skewMs: number, checkpoint: number, ceiling: number) {
    this.#storage = storage
    this.#skewMs = skewMs
    this.#checkpoint = checkpoint
    this.#ceiling = ceiling
  }

  get checkpoint(): number {
    return this.#checkpoint
  }

  get ceiling(): number {
    return this.#ceiling
  }

  /** @param aheadMs by how much the clock of the fastest member is ahead of this node's */
  follow(aheadMs: () => number): void {
    this.#aheadMs = aheadMs
  }

  /** Other nodes move both. */
  async refresh(): Promise<void> {
    const [checkpoint, ceiling] = await this.#storage.get([CLUSTER_CHECKPOINT, CLUSTER_CEILING])
    if (checkpoint !== undefined) this.#checkpoint = Math.max(this.#checkpoint, decodeMinute(checkpoint))
    if (ceiling !== undefined) this.#ceiling = Math.max(this.#ceiling, decodeMinute(ceiling))
  }

  /**
   * The minute in whose `late` bucket a decision must be announced; undefined if it need not be.
   * @param at the minute of its id, or the one that it was announced in last
   */
  announcement(at: number, nowMs: number): number | undefined {
    const latestMs = nowMs + Math.min(this.#aheadMs(), this.#skewMs)
    if (at >= this.#checkpoint && latestMs < minuteClosesAtMs(at) - LATE_MARGIN_MS) return undefined
    return Math.max(minuteAt(latestMs), this.#checkpoint)
  }

  /** Announces a decision that is about to be written, or stands. Rejects as storage does. */
  async announce(txn: TxnId, minute: number): Promise<void> {
    await this.raise(minute)
    await this.#storage.put([{ ...lateKey(txn, minute), value: EMPTY }])
  }

  /** Whether a decision of this minute will be found. If not, `raise` first. */
  covers(minute: number): boolean {
    return minute <= this.#ceiling
  }

  /** Raises the ceiling in storage above a minute. Concurrent raises are one. */
  async raise(minute: number): Promise<void> {
    while (!this.covers(minute)) {
      this.#raising ??= this.#raiseTo(minute + AHEAD_MINUTES).finally(() => {
        this.#raising = undefined
      })
      await this.#raising
    }
  }

  /** Raises the ceiling ahead of need. */
  async keepAhead(nowMs: number): Promise<void> {
    await this.raise(minuteAt(nowMs + this.#skewMs) + AHEAD_MINUTES / 2)
  }

  /** Minutes that are closed and empty stay empty: the next boot need not look there. */
  async advance(firstMinute: number, nowMs: number): Promise<void> {
    const to = Math.min(firstMinute, oldestOpen(nowMs), this.#ceiling)
    if (to <= this.#checkpoint) return
    this.#checkpoint = await raiseMinute(this.#storage, CLUSTER_CHECKPOINT, to)
  }

  /** Every decision of a minute before this one is a marker, or none: nobody who starts need look there. */
  async pass(to: number): Promise<void> {
    this.#checkpoint = await raiseMinute(this.#storage, CLUSTER_CHECKPOINT, to)
  }

  async #raiseTo(minute: number): Promise<void> {
    this.#ceiling = await raiseMinute(this.#storage, CLUSTER_CEILING, minute)
  }
}

/** The oldest minute of ids that may still be open. */
function oldestOpen(nowMs: number): number {
  return minuteAt(nowMs - MINUTE_OPEN_MS) - 1
}

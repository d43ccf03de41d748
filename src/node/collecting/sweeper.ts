import { Closing } from './closing.js'
import type { CompactedRecord } from './compacted-record.js'
import type { GuardCleaner } from './guard-cleaner.js'
import { Leftovers } from './leftovers.js'
import { OrphanValues } from './orphan-values.js'
import type { CollectingParts, Permit } from './parts.js'
import type { PinnedCuts } from './pinned-cuts.js'
import { Retiring } from './retiring.js'

/** Minutes of one round. Usually there is one in a minute; after a stand-still there are as many as it lasted. */
const MINUTES_PER_ROUND = 60
/** Neighbouring minutes are seen to by one member, so that a backlog isn't handed round minute by minute. */
const MINUTES_PER_MEMBER = 16

/**
 * Goes through minutes of ids, each twice: when it has closed (`Closing`) and when it is out of the idempotency window
 * (`Retiring`). One member that is picked sees to a minute; two that both believe to be picked do the same work twice.
 */
export class Sweeper {
  readonly #parts: CollectingParts
  readonly #closing: Closing
  readonly #retiring: Retiring
  readonly #leftovers: Leftovers

  constructor(
    parts: CollectingParts,
    permit: Permit,
    {
      compacted,
      pins,
      guards,
    }: { readonly compacted: CompactedRecord; readonly pins: PinnedCuts; readonly guards: GuardCleaner },
  ) {
    this.#parts = parts
    const orphans = new OrphanValues(parts, pins, permit)
    this.#closing = new Closing(parts, compacted, orphans, permit)
    this.#retiring = new Retiring(parts, orphans, permit)
    this.#leftovers = new Leftovers(parts, pins, guards, permit)
  }

  /** One round, bounded. Returns whether there is more to do at once. Rejects as storage does. */
  async run(): Promise<boolean> {
    const { minutes } = this.#parts
    await minutes.refresh()
    const nowMs = this.#nowMs()
    const isClosingMore = await this.#close(nowMs)
    const isRetiringMore = await this.#retire(nowMs)
    await this.#leftovers.clean(nowMs)
    return isClosingMore || isRetiringMore
  }

  /** What every member's clock has passed, as they told in their leases. */
  #nowMs(): number {
    const { membership, state } = this.#parts
    const clocks = membership.counted().map(({ lease }) => lease.nowMs)
    return Math.min(state.world.clock.now(), ...clocks)
  }

  async #close(nowMs: number): Promise<boolean> {
    const { minutes } = this.#parts
    for (let count = 0; count < MINUTES_PER_ROUND; count++) {
      const { checkpoint } = minutes
      if (!this.#closing.isClosed(checkpoint, nowMs) || !this.#isPicked(checkpoint)) return false
      if (!(await this.#closing.pass(checkpoint, nowMs))) return false
    }
    return true
  }

  async #retire(nowMs: number): Promise<boolean> {
    let minute = await this.#retiring.next()
    for (let count = 0; count < MINUTES_PER_ROUND; count++, minute++) {
      if (!this.#retiring.isDue(minute, nowMs) || !this.#isPicked(minute)) return false
      if (!(await this.#retiring.retire(minute, nowMs))) return false
    }
    return true
  }

  #isPicked(minute: number): boolean {
    return this.#parts.membership.isPicked(`minutes/${Math.floor(minute / MINUTES_PER_MEMBER)}`)
  }
}

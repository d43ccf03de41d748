import { VirgaError } from '../../errors.js'
import type { Timer } from '../../ports/clock.js'
import { BaseRaiser } from './base-raiser.js'
import { CompactedRecord } from './compacted-record.js'
import { Compactor } from './compactor.js'
import { GuardCleaner } from './guard-cleaner.js'
import type { CollectingParts, Permit } from './parts.js'
import { PinnedCuts } from './pinned-cuts.js'
import { Sweeper } from './sweeper.js'
import { WatermarkRounds } from './watermark.js'

/** After a round that failed the next one waits, twice as long each time. */
const PAUSE_MS_MAX = 30_000
const RENEW_ABOVE_VERSIONS = 10_000

/**
 * Collection, in rounds: raise the watermark in force, learn how far others have compacted, compact this node's share, sweep
 * minutes. One round at a time; the next begins after `collectEveryMs`, or at once while there is a backlog. Nothing
 * that a round has in memory is needed by the next: it can end anywhere.
 */
export class Collector {
  readonly #parts: CollectingParts
  readonly #permit: Permit
  readonly #compacted: CompactedRecord
  readonly #watermark: WatermarkRounds
  readonly #compactor: Compactor
  readonly #sweeper: Sweeper
  #timer: Timer | undefined
  #running: Promise<void> | undefined
  #stopped = false
  #failures = 0

  constructor(parts: CollectingParts) {
    this.#parts = parts
    const { world, counters } = parts.state
    this.#permit = { check: () => this.#check() }
    const pins = new PinnedCuts(world.storage)
    const guards = new GuardCleaner(world, counters, this.#permit)
    this.#compacted = new CompactedRecord(world.storage)
    this.#watermark = new WatermarkRounds(parts, pins, this.#permit)
    const bases = new BaseRaiser(world, counters, this.#permit)
    this.#compactor = new Compactor(parts, this.#permit, { bases, guards, compacted: this.#compacted })
    this.#sweeper = new Sweeper(parts, this.#permit, { compacted: this.#compacted, pins, guards })
  }

  start(): void {
    this.#later(this.#parts.state.config.collectEveryMs)
  }

  /** Resolves when nothing of it is under way any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#running
  }

  /** One round. Returns whether there is more to do at once. Rejects as storage does, and with `Interrupted`. */
  async round(): Promise<boolean> {
    this.#permit.check()
    // Where much waits to be collected, the lease tells of it sooner than it must: what lies between is memory.
    if (this.#parts.state.history.versions > RENEW_ABOVE_VERSIONS) await this.#parts.membership.renew()
    const inForce = await this.#watermark.raise()
    const { cut } = await this.#compacted.read()
    for (const [origin, through] of cut) await this.#compactor.drop(origin, through)
    await this.#parts.departures.run()
    const isCompactingMore = await this.#compactor.run(inForce)
    const isSweepingMore = await this.#sweeper.run()
    return isCompactingMore || isSweepingMore
  }

  #later(delayMs: number): void {
    if (this.#stopped) return
    this.#timer = this.#parts.state.world.clock.timer(delayMs, () => {
      this.#running = this.#run().finally(() => {
        this.#running = undefined
      })
    })
  }

  async #run(): Promise<void> {
    const { collectEveryMs } = this.#parts.state.config
    try {
      const isMore = await this.round()
      this.#failures = 0
      this.#later(isMore ? 0 : collectEveryMs)
    } catch (error) {
      this.#later(
        this.#failed(error) ? Math.min(PAUSE_MS_MAX, collectEveryMs * 2 ** this.#failures) : collectEveryMs,
      )
    }
  }

  /** Returns whether storage is what failed; a round that was interrupted goes on as soon as it may. */
  #failed(error: unknown): boolean {
    const { log } = this.#parts.state.world
    if (VirgaError.is(error) && (error.code === 'Interrupted' || error.code === 'Closed')) return false
    this.#parts.state.counters.collectionsFailed++
    this.#failures = Math.min(this.#failures + 1, 16)
    const isTrouble = VirgaError.is(error) && error.code === 'StorageUnavailable'
    if (!isTrouble) log.error({ err: error }, 'collection fails: what storage holds can not be right')
    else if (this.#failures === 1) log.warn({ err: error }, 'a round of collection failed: it is tried again')
    else log.debug({ err: error }, 'a round of collection failed again')
    return true
  }

  #check(): void {
    if (this.#stopped) throw new VirgaError('Interrupted', 'the node is stopping')
    if (!this.#parts.membership.isFresh()) {
      throw new VirgaError('Interrupted', 'the node is out of touch: others may have taken it for dead')
    }
  }
}

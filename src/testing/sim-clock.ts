/**
 * Time and randomness from one seed. Nothing happens unless a test moves the clock, and then in one order: what is due
 * first, and of two things due at the same moment the one that was asked for first. Same seed, same run.
 */
import { VirgaError } from '../errors.js'
import type { Clock, Timer } from '../ports/clock.js'
import type { Random } from '../ports/random.js'
import { TimerQueue } from './timer-queue.js'

/** 2026-01-01: late enough for ids, early enough for every limit. */
const START_MS_DEFAULT = Date.UTC(2026, 0, 1)
/** Longer than any wait of a node or client that is not a deadline. */
const UNTIL_MS_MAX_DEFAULT = 10 * 60_000
/** What happens within one call to `advance` or `until`; more is a loop that never ends. */
const EVENTS_MAX = 50_000_000
/**
 * After so many events the real event loop has a turn, so that what is broken in the process itself shows (a rejection
 * that nobody handles), and that it can be interrupted.
 */
const EVENTS_PER_TURN = 64

export interface Simulation {
  readonly clock: SimClock
  readonly random: Random
}

/** @param seed any whole number: its lower 32 bits count */
export function simulate(seed: number, options: { readonly startMs?: number } = {}): Simulation {
  return { clock: new SimClock(options.startMs), random: seededRandom(seed) }
}

/** A clock that stands until it is moved. */
export class SimClock implements Clock {
  #monotonicMs = 0
  #wallOffsetMs: number
  readonly #timers = new TimerQueue()
  #deferred: (() => void)[] = []
  #events = 0

  constructor(startMs: number = START_MS_DEFAULT) {
    this.#wallOffsetMs = startMs
  }

  /** Timers that fired and turns of deferred work, since the clock was made. */
  get events(): number {
    return this.#events
  }

  now(): number {
    return this.#wallOffsetMs + this.#monotonicMs
  }

  precise(): number {
    return this.now()
  }

  monotonic(): number {
    return this.#monotonicMs
  }

  timer(delayMs: number, run: () => void): Timer {
    return this.#timers.add(this.#monotonicMs + Math.max(0, delayMs), run)
  }

  soon(run: () => void): void {
    this.defer(run)
  }

  defer(run: () => void): void {
    this.#deferred.push(run)
  }

  /** Moves the wall clock alone, also backwards, as a correction of the machine's time does. */
  jump(ms: number): void {
    this.#wallOffsetMs += ms
  }

  /** Lets everything happen that needs no time to pass. */
  async runUntilIdle(): Promise<void> {
    await this.advance(0)
  }

  /** Lets `ms` milliseconds pass, and everything happen that falls due in them. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#monotonicMs + ms
    await this.#run(endMs, () => false)
    this.#monotonicMs = endMs
  }

  /**
   * Lets time pass until `promise` settles, and settles like it. Rejects with `Timeout` if nothing that happens within
   * `msMax` settles it.
   */
  async until<T>(promise: Promise<T>, msMax: number = UNTIL_MS_MAX_DEFAULT): Promise<T> {
    const endMs = this.#monotonicMs + msMax
    let settled = false
    const settle = (): void => {
      settled = true
    }
    promise.then(settle, settle)
    await this.#run(endMs, () => settled)
    if (settled) return promise
    throw new VirgaError('Timeout', `nothing settles it within ${msMax} ms of simulated time`)
  }

  /**
   * Lets one thing happen after the other until there is nothing left before `endMs`, or it is enough. Between two, what
   * follows from the first without waiting is seen through: promises settle in microtasks, and a tick that is asked for in
   * a microtask comes after the last of them. (A turn of the event loop each would do the same at three times the cost.)
   */
  #run(endMs: number, isEnough: () => boolean): Promise<void> {
    const eventsMax = this.#events + EVENTS_MAX
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        queueMicrotask(tick)
      }
      const tick = (): void => {
        process.nextTick(step)
      }
      const step = (): void => {
        try {
          if (isEnough() || !this.#next(endMs)) {
            resolve()
            return
          }
          if (++this.#events > eventsMax) {
            throw new VirgaError('Internal', `${EVENTS_MAX} events, and no end in sight`)
          }
        } catch (error) {
          reject(error)
          return
        }
        if (this.#events % EVENTS_PER_TURN === 0) setImmediate(step)
        else settle()
      }
      settle()
    })
  }

  /** One thing happens. False: there is nothing left until `endMs`. */
  #next(endMs: number): boolean {
    const deferred = this.#deferred
    if (deferred.length > 0) {
      this.#deferred = []
      for (const run of deferred) run()
      return true
    }
    const due = this.#timers.take(endMs)
    if (due === undefined) return false
    this.#monotonicMs = Math.max(this.#monotonicMs, due.atMs)
    due.run()
    return true
  }
}

/** Mulberry32: small, and good enough to pick faults. Never for anything that must not be guessed. */
export function seededRandom(seed: number): Random {
  let state = seed | 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  return {
    bytes: (count) => Uint8Array.from({ length: count }, () => next() & 0xff),
    fraction: () => next() / 2 ** 32,
  }
}

/**
 * Time and randomness from one seed. Nothing happens unless a test moves the clock, and then in one order: what is due
 * first, and of two things due at the same moment the one that was asked for first. Same seed, same run.
 */
import { VirgaError } from '../errors.js'
import type { Clock, Timer } from '../ports/clock.js'
import type { Random } from '../ports/random.js'

/** 2026-01-01: late enough for ids, early enough for every limit. */
const START_MS_DEFAULT = Date.UTC(2026, 0, 1)
/** Longer than any wait of a node or client that is not a deadline. */
const UNTIL_MS_MAX_DEFAULT = 10 * 60_000
/** What happens within one call to `advance` or `until`; more is a loop that never ends. */
const EVENTS_MAX = 1_000_000

export interface Simulation {
  readonly clock: SimClock
  readonly random: Random
}

/** @param seed any whole number: its lower 32 bits count */
export function simulate(seed: number, options: { readonly startMs?: number } = {}): Simulation {
  return { clock: new SimClock(options.startMs), random: seededRandom(seed) }
}

interface Due {
  readonly atMs: number
  readonly run: () => void
  cancelled: boolean
}

/** A clock that stands until it is moved. */
export class SimClock implements Clock {
  #monotonicMs = 0
  #wallOffsetMs: number
  /** By time; those of one time in the order in which they were set. */
  readonly #timers: Due[] = []
  #deferred: (() => void)[] = []

  constructor(startMs: number = START_MS_DEFAULT) {
    this.#wallOffsetMs = startMs
  }

  now(): number {
    return this.#wallOffsetMs + this.#monotonicMs
  }

  monotonic(): number {
    return this.#monotonicMs
  }

  timer(delayMs: number, run: () => void): Timer {
    const due: Due = { atMs: this.#monotonicMs + Math.max(0, delayMs), run, cancelled: false }
    let place = this.#timers.length
    while (place > 0 && this.#timers[place - 1]!.atMs > due.atMs) place--
    this.#timers.splice(place, 0, due)
    return {
      cancel: () => {
        due.cancelled = true
      },
    }
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
    const count = counter()
    await turn()
    while (await this.#next(endMs)) count()
    this.#monotonicMs = endMs
  }

  /**
   * Lets time pass until `promise` settles, and settles like it. Rejects with `Timeout` if nothing that happens within
   * `msMax` settles it.
   */
  async until<T>(promise: Promise<T>, msMax: number = UNTIL_MS_MAX_DEFAULT): Promise<T> {
    const endMs = this.#monotonicMs + msMax
    const count = counter()
    let settled = false
    const settle = (): void => {
      settled = true
    }
    promise.then(settle, settle)
    await turn()
    while (!settled && (await this.#next(endMs))) count()
    if (settled) return promise
    throw new VirgaError('Timeout', `nothing settles it within ${msMax} ms of simulated time`)
  }

  /** One thing happens, and what follows from it without waiting. False: there is nothing left until `endMs`. */
  async #next(endMs: number): Promise<boolean> {
    const deferred = this.#deferred
    if (deferred.length > 0) {
      this.#deferred = []
      for (const run of deferred) run()
      await turn()
      return true
    }
    const due = this.#timers[0]
    if (due === undefined || due.atMs > endMs) return false
    this.#timers.shift()
    if (due.cancelled) return true
    this.#monotonicMs = Math.max(this.#monotonicMs, due.atMs)
    due.run()
    await turn()
    return true
  }
}

/** Promises settle in microtasks. One turn of the real event loop, in which nothing else is, sees all of them through. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

function counter(): () => void {
  let events = 0
  return () => {
    if (++events > EVENTS_MAX) throw new VirgaError('Internal', `${events} events, and no end in sight`)
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

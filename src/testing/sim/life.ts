import type { Clock } from '../../ports/clock.js'

/** What never comes. A promise for each who waits: one of all would hold them all for ever. */
export function never(): Promise<never> {
  return new Promise<never>(() => undefined)
}

/**
 * What a process is to the code in it. Once it is dead, nothing it waits for comes, and nothing it does arrives. While it
 * is paused nothing comes either; afterwards all of it comes, late, in the order in which it was due.
 */
export class Life {
  isAlive = true
  readonly death: Promise<undefined>
  readonly #clock: Clock
  #die!: () => void
  #isPaused = false
  #backlog: (() => void)[] = []
  #draining = false

  /** @param clock of the world outside, which goes on when the process does not */
  constructor(clock: Clock) {
    this.#clock = clock
    this.death = new Promise((resolve) => {
      this.#die = () => resolve(undefined)
    })
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  die(): void {
    this.isAlive = false
    this.#backlog = []
    this.#die()
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#drain()
  }

  /** Something comes to the process: now, later, or never. */
  arrive(run: () => void): void {
    if (!this.isAlive) return
    if (this.#isPaused || this.#backlog.length > 0) {
      this.#backlog.push(run)
      return
    }
    run()
  }

  /** Resolves when something may come to the process. */
  passed(): Promise<void> {
    return new Promise((resolve) => this.arrive(resolve))
  }

  /** One thing at a time: what follows from it without waiting comes before the next. */
  #drain(): void {
    if (this.#draining) return
    this.#draining = true
    const next = (): void => {
      this.#draining = false
      if (this.#isPaused || !this.isAlive) return
      this.#backlog.shift()?.()
      if (this.#backlog.length > 0) this.#drain()
    }
    this.#clock.timer(0, next)
  }
}

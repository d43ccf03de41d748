/**
 * One time-out for many operations at once. A timer each would cost more than the operation on a fast engine (about
 * 1 µs to set and clear); here one interval turns a ring of bags, and an operation costs one insertion and one deletion.
 */
import { Bag, type Bagged, NOWHERE } from '../bag.js'
import type { VirgaError } from '../errors.js'

interface Waiting extends Bagged {
  expire(): void
}

/** The ring's resolution: an operation expires after 1 to 1.125 times the time-out. */
const STEPS = 8

export class Timeouts {
  readonly timeoutMs: number
  readonly #ring = Array.from({ length: STEPS + 1 }, () => new Bag<Waiting>())
  #at = 0
  #waiting = 0
  #interval: NodeJS.Timeout | undefined

  constructor(timeoutMs: number) {
    this.timeoutMs = timeoutMs
  }

  /** Settles as `promise` does, or rejects with `late()`. What `promise` does after that is ignored. */
  bound<T>(promise: Promise<T>, late: () => VirgaError): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const slot = this.#ring[this.#at]!
      const entry: Waiting = { place: NOWHERE, expire: () => reject(late()) }
      slot.add(entry)
      this.#waiting += 1
      // Unreferenced: what is waited for keeps the process alive by itself, and a turn too many must not.
      this.#interval ??= setInterval(() => this.#turn(), this.timeoutMs / STEPS).unref()
      promise.then(
        (value) => {
          this.#leave(slot, entry)
          resolve(value)
        },
        (error: unknown) => {
          this.#leave(slot, entry)
          reject(error)
        },
      )
    })
  }

  #leave(slot: Bag<Waiting>, entry: Waiting): void {
    if (slot.delete(entry)) this.#waiting -= 1
  }

  /** One step for each call, however late it is: answers that arrived while the process was stalled get their chance. */
  #turn(): void {
    this.#at = (this.#at + 1) % this.#ring.length
    const expired = this.#ring[this.#at]!
    this.#waiting -= expired.size
    for (let entry = expired.take(); entry !== undefined; entry = expired.take()) entry.expire()
    if (this.#waiting === 0) {
      clearInterval(this.#interval)
      this.#interval = undefined
    }
  }
}

import type { Try } from '../../core/decision.js'
import { mark } from '../../marks.js'
import { DEFAULT_BOUNDS } from '../bounds.js'

/**
 * When this node first met each undecided claim, by its own monotonic clock. A claim says nothing of when it was made, and the
 * clock of another machine would say little; so its age is how long it has been seen.
 */
export class Sightings {
  readonly #firstMs = new Map<string, number>()
  readonly #claimsMax: number

  /** @param claimsMax that are remembered. What is forgotten, and met again, is given its time again */
  constructor(claimsMax = DEFAULT_BOUNDS.sightingsMax) {
    this.#claimsMax = claimsMax
  }

  /** How long ago the claim was first met; 0 if that is now. */
  ageMs({ txn, attempt }: Try, nowMs: number): number {
    const name = `${txn}:${attempt}`
    const firstMs = this.#firstMs.get(name)
    if (firstMs !== undefined) return nowMs - firstMs
    if (this.#firstMs.size >= this.#claimsMax) {
      mark('claim.forgotten')
      this.#firstMs.delete(this.#firstMs.keys().next().value!)
    }
    this.#firstMs.set(name, nowMs)
    return 0
  }
}

import type { Try } from '../../core/decision.js'

/** Claims that are remembered. What is forgotten, and met again, is given its time again. */
const CLAIMS_MAX = 4_096

/**
 * When this node first met each undecided claim, by its own monotonic clock. A claim says nothing of when it was made, and the
 * clock of another machine would say little; so its age is how long it has been seen.
 */
export class Sightings {
  readonly #firstMs = new Map<string, number>()

  /** How long ago the claim was first met; 0 if that is now. */
  ageMs({ txn, attempt }: Try, nowMs: number): number {
    const name = `${txn}:${attempt}`
    const firstMs = this.#firstMs.get(name)
    if (firstMs !== undefined) return nowMs - firstMs
    if (this.#firstMs.size >= CLAIMS_MAX) this.#firstMs.delete(this.#firstMs.keys().next().value!)
    this.#firstMs.set(name, nowMs)
    return 0
  }
}

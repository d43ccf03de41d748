import { type Cut, cutOf, departuresOf } from '../../core/cut.js'
import type { Origin } from '../../core/ids.js'
import { VirgaError } from '../../errors.js'
import { DEPARTURES, type Vector } from '../../wire/view.js'

/** Numbers for origins within one view, from 1: its records name origins by them, millions of times. */
export class OriginNumbers {
  readonly #numbers = new Map<Origin, number>()
  readonly #origins: Origin[] = []
  /** Who was asked for last is asked for again, most of the time. */
  #lastOrigin: Origin | undefined
  #lastNumber = 0

  /** By their numbers, from 1. Grows at its end. */
  get all(): readonly Origin[] {
    return this.#origins
  }

  of(origin: Origin): number {
    if (origin === this.#lastOrigin) return this.#lastNumber
    let number = this.#numbers.get(origin)
    if (number === undefined) {
      number = this.#origins.push(origin)
      this.#numbers.set(origin, number)
    }
    this.#lastOrigin = origin
    this.#lastNumber = number
    return number
  }

  vector(cut: Cut): Vector {
    const vector = new Map<number, number>()
    if (departuresOf(cut) > 0) vector.set(DEPARTURES, departuresOf(cut))
    for (const [origin, seq] of cut) vector.set(this.of(origin), seq)
    return vector
  }

  /** Throws `Malformed` for a number that was never given. */
  cut(vector: Vector): Cut {
    const cut = new Map<Origin, number>()
    for (const [number, seq] of vector) {
      if (number === DEPARTURES) continue
      const origin = this.#origins[number - 1]
      if (origin === undefined) throw new VirgaError('Malformed', `there is no origin ${number} in this view`)
      cut.set(origin, seq)
    }
    return cutOf(cut, vector.get(DEPARTURES) ?? 0)
  }
}

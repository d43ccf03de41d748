import type { Random } from '../../ports/random.js'
import { seededRandom } from '../sim-clock.js'

/** Choices that one seed decides. */
export class Dice {
  readonly random: Random

  constructor(random: Random) {
    this.random = random
  }

  /** Dice of their own: what is drawn from them does not shift what is drawn here. */
  fork(): Dice {
    const [a = 0, b = 0, c = 0, d = 0] = this.random.bytes(4)
    return new Dice(seededRandom((a << 24) | (b << 16) | (c << 8) | d))
  }

  /** From 0 up to, not including, 1. */
  fraction(): number {
    return this.random.fraction()
  }

  chance(probability: number): boolean {
    return this.fraction() < probability
  }

  /** A whole number from `from` up to `to`, both included. */
  between(from: number, to: number): number {
    return from + Math.floor(this.fraction() * (to - from + 1))
  }

  /** Any number from `from` up to `to`, each order of magnitude as likely as the next. Both above 0. */
  scale(from: number, to: number): number {
    return from * (to / from) ** this.fraction()
  }

  /** A waiting time of this mean, as between events that know nothing of each other; bounded at ten times that. */
  wait(meanMs: number): number {
    return Math.min(10, -Math.log(1 - this.fraction())) * meanMs
  }

  pick<T>(of: readonly T[]): T {
    return of[this.between(0, of.length - 1)]!
  }

  /** By weight; of what has none, nothing. */
  weighted<T extends string>(weights: Readonly<Record<T, number>>): T {
    const entries = Object.entries<number>(weights) as [T, number][]
    let left = this.fraction() * entries.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [name, weight] of entries) {
      left -= weight
      if (left < 0) return name
    }
    return entries.findLast(([, weight]) => weight > 0)![0]
  }

  shuffle<T>(of: readonly T[]): T[] {
    const out = [...of]
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.between(0, i)
      const one = out[i]!
      out[i] = out[j]!
      out[j] = one
    }
    return out
  }

  /** So many different ones, or all there are. */
  some<T>(of: readonly T[], count: number): T[] {
    return this.shuffle(of).slice(0, count)
  }
}

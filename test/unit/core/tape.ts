/** Choices from a list of numbers, so that a failing run shrinks; at its end the run ends. */
export class Tape {
  readonly #numbers: readonly number[]
  #at = 0

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers
  }

  get isOver(): boolean {
    return this.#at >= this.#numbers.length
  }

  below(count: number): number {
    return (this.#numbers[this.#at++] ?? 0) % count
  }

  pick<T>(of: readonly T[]): T | undefined {
    return of.length === 0 ? undefined : of[this.below(of.length)]
  }

  some<T>(of: readonly T[]): readonly T[] {
    const mask = this.below(2 ** of.length - 1) + 1
    return of.filter((_, i) => (mask & (1 << i)) !== 0)
  }
}

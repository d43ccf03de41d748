/** Makes one of all that is equal, and numbers it: so that states compare by a few numbers, and share what they have in common. */
export class Numbered<T extends object> {
  readonly #byText = new Map<string, T>()
  readonly #numbers = new Map<T, number>()

  /** The one that stands for all with this text. */
  one(text: string, make: () => T): T {
    let one = this.#byText.get(text)
    if (one === undefined) {
      one = make()
      this.#byText.set(text, one)
      this.#numbers.set(one, this.#numbers.size + 1)
    }
    return one
  }

  /** 0 for nothing. */
  numberOf(one: T | undefined): number {
    if (one === undefined) return 0
    const number = this.#numbers.get(one)
    if (number === undefined) throw new Error('only what is numbered belongs into a state')
    return number
  }

  get size(): number {
    return this.#numbers.size
  }
}

/** What can be in a bag: in one at a time. */
export interface Bagged {
  /** Belongs to the bag. `NOWHERE` at first. */
  place: number
}

export const NOWHERE = -1

/** A set without order whose members come and go. Why it is no `Set`: see `SlotMap`. */
export class Bag<T extends Bagged> {
  readonly #members: T[] = []

  get size(): number {
    return this.#members.length
  }

  add(member: T): void {
    if (this.#members[member.place] === member) return
    member.place = this.#members.length
    this.#members.push(member)
  }

  /** False: it was not in there. */
  delete(member: T): boolean {
    const { place } = member
    if (this.#members[place] !== member) return false
    const last = this.#members.pop()!
    if (last !== member) {
      last.place = place
      this.#members[place] = last
    }
    member.place = NOWHERE
    return true
  }

  /** Takes one out, whichever. */
  take(): T | undefined {
    const member = this.#members.pop()
    if (member !== undefined) member.place = NOWHERE
    return member
  }

  clear(): void {
    while (this.#members.length > 0) this.take()
  }

  [Symbol.iterator](): IterableIterator<T> {
    return this.#members.values()
  }
}

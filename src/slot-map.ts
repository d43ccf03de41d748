/** After a crowd, they are let go. */
const SLOTS_KEPT = 1_024

/**
 * A map whose entries come and go, of which few stand at a time: what is under way. As a `Map` otherwise, in the order of insertion.
 *
 * V8 makes the table of a `Map` anew after every few changes. A table that was left points to the one that took its place, and to all
 * that stood in it. Once one of them has got into old space, all that follow stay with it until the next full collection, and what
 * stood in them. Here tables hold numbers. What that made of it: docs/decisions/memory-used-again.md.
 */
export class SlotMap<K, V> {
  readonly #slotOf = new Map<K, number>()
  readonly #values: (V | undefined)[] = []
  readonly #free: number[] = []

  get size(): number {
    return this.#slotOf.size
  }

  has(key: K): boolean {
    return this.#slotOf.has(key)
  }

  get(key: K): V | undefined {
    const slot = this.#slotOf.get(key)
    return slot === undefined ? undefined : this.#values[slot]
  }

  set(key: K, value: V): void {
    let slot = this.#slotOf.get(key)
    if (slot === undefined) {
      slot = this.#free.pop() ?? this.#values.length
      this.#slotOf.set(key, slot)
    }
    this.#values[slot] = value
  }

  /** Removes an entry, and returns what it was. */
  take(key: K): V | undefined {
    const slot = this.#slotOf.get(key)
    if (slot === undefined) return undefined
    const value = this.#values[slot]
    this.delete(key)
    return value
  }

  delete(key: K): boolean {
    const slot = this.#slotOf.get(key)
    if (slot === undefined) return false
    this.#slotOf.delete(key)
    this.#values[slot] = undefined
    this.#free.push(slot)
    if (this.#slotOf.size === 0 && this.#values.length > SLOTS_KEPT) this.clear()
    return true
  }

  clear(): void {
    this.#slotOf.clear()
    this.#values.length = 0
    this.#free.length = 0
  }

  keys(): IterableIterator<K> {
    return this.#slotOf.keys()
  }

  *values(): IterableIterator<V> {
    for (const slot of this.#slotOf.values()) yield this.#values[slot] as V
  }

  *[Symbol.iterator](): IterableIterator<[K, V]> {
    for (const [key, slot] of this.#slotOf) yield [key, this.#values[slot] as V]
  }
}

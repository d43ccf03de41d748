import type { Timer } from '../ports/clock.js'

/** What is due at a time. */
export interface Due {
  readonly atMs: number
  readonly run: () => void
}

interface Entry {
  readonly atMs: number
  /** Tells apart what is due at one moment. */
  readonly number: number
  /** Undefined: cancelled. */
  run: (() => void) | undefined
}

/** Cancelled entries stay in the heap until they come up, or are the larger part of so many. */
const SWEEP_AT = 64

/**
 * Timers by time, and those of one time in the order in which they were set: a binary heap. A simulated cluster has
 * hundreds of them set at any moment, and a sorted list, which was here before, moves half of them for each new one.
 */
export class TimerQueue {
  #heap: Entry[] = []
  #numbers = 0
  #cancelled = 0

  add(atMs: number, run: () => void): Timer {
    const entry: Entry = { atMs, number: ++this.#numbers, run }
    this.#push(entry)
    return { cancel: () => this.#cancel(entry) }
  }

  /** Takes out the first that is due at `endMs` or before; undefined if none is. */
  take(endMs: number): Due | undefined {
    for (;;) {
      const first = this.#heap[0]
      if (first === undefined || first.atMs > endMs) return undefined
      this.#removeFirst()
      const { atMs, run } = first
      if (run === undefined) {
        this.#cancelled--
        continue
      }
      // Cancelling it from now on is too late, and must not count.
      first.run = undefined
      return { atMs, run }
    }
  }

  #cancel(entry: Entry): void {
    if (entry.run === undefined) return
    entry.run = undefined
    this.#cancelled++
    if (this.#cancelled > SWEEP_AT && this.#cancelled * 2 > this.#heap.length) this.#sweep()
  }

  #sweep(): void {
    this.#heap = this.#heap.filter(({ run }) => run !== undefined).sort((a, b) => (isBefore(a, b) ? -1 : 1))
    this.#cancelled = 0
  }

  #push(entry: Entry): void {
    const heap = this.#heap
    let place = heap.length
    heap.push(entry)
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (!isBefore(entry, heap[parent]!)) break
      heap[place] = heap[parent]!
      place = parent
    }
    heap[place] = entry
  }

  #removeFirst(): void {
    const heap = this.#heap
    const last = heap.pop()!
    const { length } = heap
    if (length === 0) return
    let place = 0
    for (;;) {
      let child = 2 * place + 1
      if (child >= length) break
      if (child + 1 < length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (isBefore(last, heap[child]!)) break
      heap[place] = heap[child]!
      place = child
    }
    heap[place] = last
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.number < b.number)
}

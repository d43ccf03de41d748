import type { Clock } from '../ports/clock.js'
import type { Reply } from '../wire/messages.js'

/** Answers that are waited for, of one turn of the event loop: some, or what makes so many turns of all that wait. */
const PER_TURN_MIN = 2
const TURNS = 8

/**
 * Answers on their way to who waits for them: of many that come in one frame, a part in each turn. All at once, all who
 * waited would go on in step, and what they say next would come to the node in one frame again: it would rest while they work, and they
 * while it does. So each frame is on its way while others go on.
 */
export class Arrivals {
  readonly #clock: Clock
  readonly #settle: (reply: Reply) => void
  readonly #onSettled: () => void
  /** Settled up to `#next`, and then by and by dropped. */
  #waiting: (Reply | undefined)[] = []
  #next = 0
  #perTurn = 0
  #isDeferred = false

  /** @param onSettled whoever was told of a part has said what they say next */
  constructor(clock: Clock, settle: (reply: Reply) => void, onSettled: () => void) {
    this.#clock = clock
    this.#settle = settle
    this.#onSettled = onSettled
  }

  /** Answers in memory, those that were settled a moment ago among them. */
  get held(): number {
    return this.#waiting.length
  }

  add(replies: readonly Reply[]): void {
    this.#compact()
    for (const reply of replies) this.#waiting.push(reply)
    const waiting = this.#waiting.length - this.#next
    // Not less than before in the same backlog, or its end would take ever more turns.
    this.#perTurn = Math.max(this.#perTurn, PER_TURN_MIN, Math.ceil(waiting / TURNS))
    if (!this.#isDeferred) this.#some(this.#perTurn)
  }

  /** Settles what has come: something is about to happen that came later. */
  drain(): void {
    this.#some(Number.POSITIVE_INFINITY)
  }

  #some(count: number): void {
    for (let left = count; left > 0 && this.#next < this.#waiting.length; ) {
      const reply = this.#waiting[this.#next]!
      this.#waiting[this.#next++] = undefined
      // Nobody waits for that, as a rule.
      if (reply.type !== 'begun') left--
      this.#settle(reply)
    }
    this.#clock.soon(this.#onSettled)
    if (this.#next < this.#waiting.length) {
      this.#later()
      return
    }
    this.#waiting = []
    this.#next = 0
    this.#perTurn = 0
  }

  /** Under steady load there is always something that waits. */
  #compact(): void {
    if (2 * this.#next < this.#waiting.length) return
    this.#waiting = this.#waiting.slice(this.#next)
    this.#next = 0
  }

  #later(): void {
    if (this.#isDeferred) return
    this.#isDeferred = true
    this.#clock.defer(() => {
      this.#isDeferred = false
      this.#some(this.#perTurn)
    })
  }
}

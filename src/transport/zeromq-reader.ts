import type { Clock } from '../ports/clock.js'
import { TurnBudget } from './turn-budget.js'

/** The receiving half of a socket: ZeroMQ allows one receive in flight, so each socket has one of these. */
export class ZeromqReader {
  /** Resolves when the socket was closed. */
  readonly done: Promise<void>
  #isIdle = true

  /** `onMessage` gets the parts of each message, and must not throw. */
  constructor(socket: AsyncIterable<Buffer[]>, clock: Clock, onMessage: (parts: readonly Buffer[]) => void) {
    this.done = this.#read(socket, clock, onMessage)
  }

  /** Nothing has arrived that was not seen to. Holds only where it is asked in a turn of the event loop of its own. */
  get isIdle(): boolean {
    return this.#isIdle
  }

  async #read(
    socket: AsyncIterable<Buffer[]>,
    clock: Clock,
    onMessage: (parts: readonly Buffer[]) => void,
  ): Promise<void> {
    const messages = socket[Symbol.asyncIterator]()
    const budget = new TurnBudget(clock)
    for (;;) {
      this.#isIdle = true
      const next = await messages.next()
      if (next.done === true) return
      this.#isIdle = false
      budget.spend(() => onMessage(next.value))
      // zeromq.js hands over up to 512 messages in one turn of the event loop: with large ones nothing else would run.
      if (budget.isOver) await new Promise<void>((resolve) => budget.later(resolve))
    }
  }
}

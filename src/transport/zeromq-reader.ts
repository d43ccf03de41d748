import type { Clock } from '../ports/clock.js'

/** Work on messages before timers, answers and whatever else waits have their turn. */
const TURN_MS_MAX = 2

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
    let spentMs = 0
    for (;;) {
      this.#isIdle = true
      const next = await messages.next()
      if (next.done === true) return
      this.#isIdle = false
      const startMs = clock.monotonic()
      onMessage(next.value)
      spentMs += clock.monotonic() - startMs
      if (spentMs < TURN_MS_MAX) continue
      // zeromq.js hands over up to 512 messages in one turn of the event loop: with large ones nothing else would run.
      await new Promise<void>((resolve) => clock.defer(resolve))
      spentMs = 0
    }
  }
}

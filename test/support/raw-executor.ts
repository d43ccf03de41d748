import type { ErrorCode } from '../../src/errors.js'
import type { Link } from '../../src/ports/transport.js'
import { replyFrames, requestFrames } from '../../src/wire/frames.js'
import type { Reply, Request } from '../../src/wire/messages.js'

/** An executor that says what a test wants said, in frames of its own choosing, and keeps all that it is answered. */
export class RawExecutor {
  readonly received: Reply[] = []
  onReply: (reply: Reply) => void = () => undefined
  readonly #link: Link
  readonly #name: string

  /** Greets as soon as the connection is made. */
  constructor(link: Link, name: string) {
    this.#link = link
    this.#name = name
    link.open({
      onUp: () => this.greet(),
      onDown: () => undefined,
      onFrame: (frame) => {
        for (const reply of replyFrames.decode(frame)) {
          this.received.push(reply)
          this.onReply(reply)
        }
      },
    })
  }

  greet(): void {
    // A namespace of its own, so that nobody looks for its process.
    this.send({ type: 'hello', request: 0, client: this.#name, pid: 1, namespace: 'raw', startedAt: '' })
  }

  /** In one frame. */
  send(...requests: readonly Request[]): boolean {
    return this.#link.send(requestFrames.encode(requests))
  }

  /** The codes of all errors so far, oldest first. */
  codes(): readonly ErrorCode[] {
    return this.received.flatMap((reply) => (reply.type === 'error' ? [reply.code] : []))
  }
}

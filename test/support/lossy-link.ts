import type { Link, LinkHandlers } from '../../src/ports/transport.js'
import { replyFrames, requestFrames } from '../../src/wire/frames.js'
import type { Reply, Request } from '../../src/wire/messages.js'

/** A link between an executor and its node that a test can hold up, or lose messages of, either way. */
export class LossyLink implements Link {
  readonly #link: Link
  #handlers: LinkHandlers | undefined
  #held: Uint8Array[] | undefined
  /** Answers for which this is true are lost. */
  loses: (reply: Reply) => boolean = () => false
  /** Requests for which this is true are lost. */
  swallows: (request: Request) => boolean = () => false

  constructor(link: Link) {
    this.#link = link
  }

  open(handlers: LinkHandlers): void {
    this.#handlers = handlers
    this.#link.open({
      onUp: () => handlers.onUp(),
      onDown: () => handlers.onDown(),
      onFrame: (frame) => {
        const replies = replyFrames.decode(frame).filter((reply) => !this.loses(reply))
        if (replies.length === 0) return
        const kept = replyFrames.encode(replies)
        if (this.#held === undefined) handlers.onFrame(kept)
        else this.#held.push(kept)
      },
    })
  }

  send(frame: Uint8Array): boolean {
    const requests = requestFrames.decode(frame).filter((request) => !this.swallows(request))
    return requests.length === 0 || this.#link.send(requestFrames.encode(requests))
  }

  close(): Promise<void> {
    return this.#link.close()
  }

  /** From now on answers wait. */
  hold(): void {
    this.#held = []
  }

  /** Lets the answers that waited through, in their order. */
  release(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const frame of held) this.#handlers?.onFrame(frame)
  }

  /** The connection breaks, as the executor sees it, and is made again. */
  blink(): void {
    this.#handlers?.onDown()
    this.#handlers?.onUp()
  }
}

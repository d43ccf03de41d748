import { VirgaError } from '../../errors.js'
import { mark } from '../../marks.js'

/** Bytes that executors may make the node hold for them: write sets sent ahead, and write sets handed off. */
export class Budget {
  readonly #bytesMax: number
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#bytes
  }

  /** Throws `Busy` if there is no room. */
  take(bytes: number): void {
    if (this.#bytes + bytes > this.#bytesMax) {
      mark('busy.bytes')
      throw new VirgaError(
        'Busy',
        `the node holds ${this.#bytes} bytes of unfinished writes, nearly as many as it may`,
      )
    }
    this.#bytes += bytes
  }

  give(bytes: number): void {
    this.#bytes -= bytes
  }
}

import type { Dice } from './dice.js'
import type { Filter } from './tcp-proxy.js'

/** What a ZMTP connection begins with (RFC 37), and what a byte of flags says. */
const GREETING_BYTES = 64
const MORE = 1
const LONG = 2
const COMMAND = 4

/** Splits the plain-text bytes of one direction of a ZMTP connection into its messages, and what else it carries. */
export class ZmtpParser {
  #rest: Buffer = Buffer.alloc(0)
  #greetingLeft = GREETING_BYTES
  #frames: Buffer[] = []

  /** What is complete, in order: messages of one or more frames, commands, and the greeting, of which each side sends a part at a time. */
  push(bytes: Buffer): readonly { readonly isMessage: boolean; readonly bytes: Buffer }[] {
    const greeting = bytes.subarray(0, this.#greetingLeft)
    this.#greetingLeft -= greeting.length
    const complete: { isMessage: boolean; bytes: Buffer }[] = []
    if (greeting.length > 0) complete.push({ isMessage: false, bytes: greeting })
    this.#rest = Buffer.concat([this.#rest, bytes.subarray(greeting.length)])
    for (;;) {
      const size = this.#sizeOfNext()
      if (size === undefined || this.#rest.length < size) return complete
      const frame = this.#rest.subarray(0, size)
      this.#rest = this.#rest.subarray(size)
      const flags = frame[0]!
      if ((flags & COMMAND) !== 0) {
        complete.push({ isMessage: false, bytes: frame })
        continue
      }
      this.#frames.push(frame)
      if ((flags & MORE) !== 0) continue
      complete.push({ isMessage: true, bytes: Buffer.concat(this.#frames) })
      this.#frames = []
    }
  }

  #sizeOfNext(): number | undefined {
    const [flags, short] = this.#rest
    if (flags === undefined || short === undefined) return undefined
    if ((flags & LONG) === 0) return 2 + short
    return this.#rest.length < 9 ? undefined : 9 + Number(this.#rest.readBigUInt64BE(1))
  }
}

export interface Unruly {
  /** Probabilities, 0 to 1, for each message. */
  readonly lost: number
  readonly doubled: number
  /** Kept back, and let go after some that came later. */
  readonly late: number
}

/** Messages kept back at once in one direction of a connection. */
const KEPT_MAX = 8
/** Shorter ones make connections: TCP would not lose those alone. */
const SPARED_BYTES = 64

/** Loses, doubles and reorders whole messages, as no TCP connection does by itself but queues that overflow and peers that retry do. */
export function unruly(dice: Dice, { lost, doubled, late }: Unruly): Filter {
  const parser = new ZmtpParser()
  const kept: Buffer[] = []
  return (bytes) => {
    const out: Buffer[] = []
    for (const { isMessage, bytes: message } of parser.push(bytes)) {
      if (!isMessage || message.length < SPARED_BYTES) {
        out.push(message)
        continue
      }
      const fate = dice.fraction()
      if (fate < lost) continue
      if (fate < lost + doubled) out.push(message, message)
      else if (fate < lost + doubled + late && kept.length < KEPT_MAX) {
        kept.push(message)
        continue
      } else out.push(message)
      if (kept.length > 0 && dice.between(0, 2) === 0)
        out.push(kept.splice(dice.between(0, kept.length - 1), 1)[0]!)
    }
    return Buffer.concat(out)
  }
}

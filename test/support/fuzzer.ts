import { requestFrames } from '../../src/wire/frames.js'
import { PROTOCOL_VERSION } from '../../src/wire/messages.js'
import { Dice } from './dice.js'
import { encode } from './messagepack.mjs'
import { readProtocolFile } from './protocol-files.js'

/** Frames that a node has to refuse or survive, from one seed. */

const MAX = Number.MAX_SAFE_INTEGER
const IDS = ['01a1fbbe-14bb-7e71-93d3-b236e0fdb9e3', 'ffffffff-ffff-7fff-bfff-ffffffffffff', 'no id', '']
const TEXTS = ['', 'a', '\0', '\u{1f327}', '__proto__', 'constructor', 'x'.repeat(2_000), 'latest', 'lww']
const NUMBERS = [
  0,
  1,
  2,
  7,
  64,
  73,
  255,
  2 ** 31,
  2 ** 32,
  MAX,
  -1,
  0.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  1e300,
]
const SCALARS: readonly unknown[] = [
  ...NUMBERS,
  ...TEXTS,
  null,
  true,
  false,
  Buffer.alloc(0),
  Buffer.alloc(70),
]

const LEARNT_MAX = 100

export class Fuzzer {
  readonly #dice: Dice
  readonly #corpus: readonly Uint8Array[]
  readonly #contexts: string[] = []
  readonly #tokens: string[] = []

  constructor(seed: number) {
    this.#dice = new Dice(seed)
    this.#corpus = ['requests', 'replies'].flatMap((name) => vectorsOf(name))
  }

  /** Takes up what a node has answered, to be given back to it: as it was, or not quite. */
  learn(kind: 'context' | 'token', text: string): void {
    const known = kind === 'context' ? this.#contexts : this.#tokens
    if (known.length < LEARNT_MAX) known.push(text)
    else known[this.#below(LEARNT_MAX)] = text
  }

  /** A frame that no node takes: the codec itself is asked. */
  refused(): Uint8Array {
    for (;;) {
      const frame = this.#bytes()
      try {
        requestFrames.decode(frame)
      } catch {
        return frame
      }
    }
  }

  /** A frame whose messages are well formed, and mean anything at all. `next` gives request numbers. */
  wellFormed(next: () => number): Uint8Array {
    const messages = Array.from({ length: 1 + this.#below(6) }, () => [...this.#message(next())])
    return encode([PROTOCOL_VERSION, ...messages])
  }

  #message(request: number): readonly unknown[] {
    const handle = this.#chance(0.95) ? 1 + this.#below(30) : this.#pick([0, MAX])
    const id = this.#chance(0.7) ? freshId(this.#below(2 ** 30)) : IDS[this.#below(2)]
    switch (this.#below(16)) {
      case 0:
      case 1:
      case 2: {
        const consistency = this.#chance(0.95)
          ? this.#pick([null, 'lww', 'read-atomic', 'parallel-snapshot'])
          : this.#pick(TEXTS)
        const after = this.#chance(0.9) ? null : this.#oneOf(this.#tokens)
        const deadlineMs = this.#chance(0.9) ? null : this.#pick([0, 1, 5_000, 2 ** 40, MAX])
        const snapshot = this.#chance(0.9) ? null : this.#random(this.#pick([0, 16, 20, 32]))
        const [keyed, lookup] = [this.#chance(0.5), this.#chance(0.3)]
        return [2, request, handle, id, keyed, deadlineMs, consistency, after, lookup, snapshot]
      }
      case 3:
        return [3, request, handle, this.#keys()]
      case 4:
        return [4, request, handle, this.#writes()]
      case 5:
        return [5, request, handle, this.#writes(), this.#pick([null, Buffer.alloc(0), Buffer.alloc(300)])]
      case 6:
        return [6, request, handle]
      case 7:
        return [7, request, handle, this.#writes(), this.#chance(0.5)]
      case 8: {
        const contexts = Array.from({ length: this.#below(4) }, () =>
          Buffer.from(this.#oneOf(this.#contexts), 'base64url'),
        )
        return [8, request, handle, contexts, this.#pick(['latest', 'error']), this.#pick([true, false])]
      }
      case 9:
        return [9, request, id]
      case 10:
        return this.#chance(0.5)
          ? [10, request, id]
          : [11, request, id, this.#pick([null, '1'.padEnd(24, 'f')])]
      case 11:
        return this.#pick([
          [12, request],
          [14, request],
          [15, request],
          [16, request, this.#keys(), this.#below(100)],
          [17, request],
          [
            18,
            request,
            id,
            this.#pick([0, Date.now() + 60_000, MAX]),
            this.#random(this.#pick([0, 16, 20, 32])),
          ],
        ])
      case 12:
        return [5, request, handle, this.#writes(), null]
      default:
        return [6, request, handle]
    }
  }

  #keys(): readonly string[] {
    const count = this.#chance(0.02) ? 10_001 : this.#below(8)
    return Array.from({ length: count }, () => `hostile:${this.#pick(TEXTS)}`.slice(this.#pick([0, 0, 8])))
  }

  #writes(): readonly (readonly [string, Uint8Array | null])[] {
    return this.#keys()
      .slice(0, 100)
      .map((key) => [key.startsWith('hostile:') || key === '' ? key : `hostile:${key}`, this.#value()])
  }

  #value(): Uint8Array | null {
    return this.#chance(0.2) ? null : Buffer.alloc(this.#below(200), this.#below(256))
  }

  #bytes(): Uint8Array {
    const some = this.#pick(this.#corpus)
    switch (this.#below(9)) {
      case 0:
        return this.#random(this.#below(200))
      case 1:
        return some.subarray(0, this.#below(some.length))
      case 2:
      case 3:
        return this.#flipped(some)
      case 4:
        return Buffer.concat([some, this.#random(1 + this.#below(8))])
      case 5:
        return this.#spliced(some, this.#pick(this.#corpus))
      case 6:
        return this.#otherVersion()
      case 7:
        return encode([PROTOCOL_VERSION, ...this.#oddMessages()])
      default:
        return this.#nested()
    }
  }

  #random(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#below(256))
  }

  #flipped(bytes: Uint8Array): Uint8Array {
    const out = Uint8Array.from(bytes)
    for (let flips = 1 + this.#below(3); flips > 0; flips--)
      out[this.#below(out.length)]! ^= 1 << this.#below(8)
    return out
  }

  #spliced(a: Uint8Array, b: Uint8Array): Uint8Array {
    return Buffer.concat([a.subarray(0, this.#below(a.length)), b.subarray(this.#below(b.length))])
  }

  #otherVersion(): Uint8Array {
    const version = this.#pick([0, 2, 3, 255, MAX, -1, '1', null, [1], true])
    return encode([version, ...this.#oddMessages()])
  }

  /** Arrays like messages, with fields of any kind: too many, too few, and of other types. */
  #oddMessages(): readonly unknown[] {
    return Array.from({ length: this.#below(5) }, () => {
      const number = this.#chance(0.8)
        ? this.#pick([1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 64, 65, 73, 99])
        : this.#pick(SCALARS)
      const fields = Array.from({ length: this.#below(9) }, () => this.#anything(3))
      return this.#chance(0.9) ? [number, this.#pick(SCALARS), ...fields] : this.#pick(SCALARS)
    })
  }

  #anything(depth: number): unknown {
    if (depth === 0 || this.#chance(0.6)) return this.#pick(SCALARS)
    return Array.from({ length: this.#below(5) }, () => this.#anything(depth - 1))
  }

  #nested(): Uint8Array {
    const deep = Buffer.alloc(1 + this.#below(5_000), this.#pick([0x91, 0x92, 0x9f, 0xdc, 0xdd, 0x81, 0xc7]))
    return Buffer.concat([this.#pick(this.#corpus).subarray(0, this.#below(10)), deep])
  }

  /** Something learnt, most often; else with one character changed, or any text. */
  #oneOf(learnt: readonly string[]): string {
    if (learnt.length === 0 || this.#chance(0.1)) return this.#pick(TEXTS)
    const text = this.#pick(learnt)
    if (this.#chance(0.9)) return text
    const at = this.#below(text.length)
    return `${text.slice(0, at)}${this.#pick(['A', '_', '=', ''])}${text.slice(at + 1)}`
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#below(from.length)]!
  }

  #chance(of: number): boolean {
    return this.#below(1_000) < of * 1_000
  }

  #below(end: number): number {
    return end <= 0 ? 0 : this.#dice.between(0, end - 1)
  }
}

/** Of this minute, and one of many. */
function freshId(n: number): string {
  const time = Date.now().toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${n.toString(16).padStart(12, '0')}`
}

function vectorsOf(name: string): readonly Uint8Array[] {
  const { vectors } = JSON.parse(readProtocolFile(`vectors/${name}.json`)!) as { vectors: { hex: string }[] }
  return vectors.map(({ hex }) => Buffer.from(hex, 'hex'))
}

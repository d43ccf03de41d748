const COMPACTED_MIN = 64

/** Frames that wait for a socket, bounded in count and bytes. */
export class Outbox {
  /** Those before the head are gone. */
  #frames: (Uint8Array | undefined)[] = []
  readonly #framesMax: number
  readonly #bytesMax: number
  #head = 0
  #bytes = 0

  constructor(framesMax: number, bytesMax: number) {
    this.#framesMax = framesMax
    this.#bytesMax = bytesMax
  }

  get isEmpty(): boolean {
    return this.#head === this.#frames.length
  }

  /** Places in memory, those of frames that have left a moment ago among them. */
  get held(): number {
    return this.#frames.length
  }

  hasRoomFor(bytes: number): boolean {
    if (this.isEmpty) return true
    return this.#frames.length - this.#head < this.#framesMax && this.#bytes + bytes <= this.#bytesMax
  }

  /** False: full. A single frame is always taken by an empty outbox. */
  push(frame: Uint8Array): boolean {
    if (!this.hasRoomFor(frame.length)) return false
    this.#frames.push(frame)
    this.#bytes += frame.length
    return true
  }

  /** The next frame, which stays first until `shift`. */
  peek(): Uint8Array | undefined {
    return this.#frames[this.#head]
  }

  shift(): void {
    const frame = this.#frames[this.#head]
    if (frame === undefined) return
    this.#bytes -= frame.length
    this.#frames[this.#head++] = undefined
    if (this.#head === this.#frames.length) this.clear()
    // One that is always refilled is never empty.
    else if (this.#head >= COMPACTED_MIN && 2 * this.#head >= this.#frames.length) {
      this.#frames = this.#frames.slice(this.#head)
      this.#head = 0
    }
  }

  clear(): void {
    this.#frames = []
    this.#head = 0
    this.#bytes = 0
  }
}

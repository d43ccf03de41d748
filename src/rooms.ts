/** For a few values of some KiB, and for as many as are under way on a busy node: 4 MiB at most. */
const ROOM_BYTES = 32 * 1024
const ROOMS_MAX = 128
/** Less is cut from Node's own pool, which costs little. */
const BYTES_MIN = 1_024

/**
 * Memory outside of the heap that is used again, for bytes of which it is known when nobody looks into them any more. Made anew
 * each time, it has V8 look for garbage by its size alone, however little is on the heap.
 */
export class Rooms {
  readonly #roomBytes: number
  readonly #roomsMax: number
  readonly #free: ArrayBuffer[] = []
  readonly #lent = new Set<ArrayBufferLike>()

  /** Larger things are given memory of their own, and so are those for which no room is left. */
  constructor(roomBytes = ROOM_BYTES, roomsMax = ROOMS_MAX) {
    this.#roomBytes = roomBytes
    this.#roomsMax = roomsMax
  }

  /** Memory of this length, with whatever is in it. */
  take(bytes: number): Buffer {
    if (bytes < BYTES_MIN) return Buffer.allocUnsafe(bytes)
    if (bytes > this.#roomBytes || this.#lent.size === this.#roomsMax) return Buffer.allocUnsafeSlow(bytes)
    const room = this.#free.pop() ?? new ArrayBuffer(this.#roomBytes)
    this.#lent.add(room)
    return Buffer.from(room, 0, bytes)
  }

  /**
   * To be called for each that was taken.
   *
   * @param isFree nobody looks into it any more. Else it is left to whoever does.
   */
  giveBack(taken: Buffer, isFree: boolean): void {
    const { buffer } = taken
    if (this.#lent.delete(buffer) && isFree) this.#free.push(buffer as ArrayBuffer)
  }
}

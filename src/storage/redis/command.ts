import { Command } from 'ioredis'
import { Rooms } from '../../rooms.js'

export type Argument = string | number | Buffer

const rooms = new Rooms()

/**
 * A command whose bytes tell that they were asked for, which is when they are sent. With values in it, they are written into a
 * room, which ioredis would make anew for each.
 */
export class TrackedCommand extends Command {
  written = false
  #room: Buffer | undefined

  constructor(name: string, args: readonly Argument[]) {
    super(name, args as Argument[], { replyEncoding: null })
  }

  override toWritable(socket: object): string | Buffer {
    this.written = true
    // Sent elsewhere, it may still wait at the first socket as well.
    this.settled(false)
    let bytes = 0
    for (const arg of this.args) if (Buffer.isBuffer(arg)) bytes += arg.length
    if (bytes < ROOMY_BYTES_MIN) return super.toWritable(socket)
    this.#room = inRoom(this.name, this.args as (string | Buffer)[])
    return this.#room
  }

  /** @param isAnswered so the server has had all of it */
  settled(isAnswered: boolean): void {
    if (this.#room === undefined) return
    rooms.giveBack(this.#room, isAnswered)
    this.#room = undefined
  }
}

/** Below, what ioredis does costs less. */
const ROOMY_BYTES_MIN = 1_024
/** Of `$`, a length, and two ends of lines. */
const FRAMING_BYTES = 24

/** As RESP has it: an array of byte strings, each behind its length. */
function inRoom(name: string, args: readonly (string | Buffer)[]): Buffer {
  const head = `*${args.length + 1}\r\n$${Buffer.byteLength(name)}\r\n${name}\r\n`
  let bytesMax = head.length
  for (const arg of args) bytesMax += FRAMING_BYTES + Buffer.byteLength(arg)
  const room = rooms.take(bytesMax)
  let at = room.write(head, 'latin1')
  for (const arg of args) {
    const isText = typeof arg === 'string'
    at += room.write(`$${isText ? Buffer.byteLength(arg) : arg.length}\r\n`, at, 'latin1')
    if (isText) at += room.write(arg, at)
    else {
      room.set(arg, at)
      at += arg.length
    }
    at += room.write('\r\n', at, 'latin1')
  }
  return room.subarray(0, at)
}

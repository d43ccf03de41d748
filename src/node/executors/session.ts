import type { VirgaError } from '../../errors.js'
import type { ProcessIdentity } from '../../ports/processes.js'
import type { PeerId } from '../../ports/transport.js'
import { SlotMap } from '../../slot-map.js'
import type { Reply, Request } from '../../wire/messages.js'
import type { OpenTransaction } from './transaction.js'

/** A transaction of a session: open, being begun, or failed in a way that all further requests are told. */
export type Handle = OpenTransaction | Promise<OpenTransaction> | VirgaError

/** One connected executor. */
export class Session {
  readonly peer: PeerId
  readonly handles = new SlotMap<number, Handle>()
  /** Requests that wait for their turn, oldest first. */
  readonly queue: Request[] = []
  /** Of these, those that end a transaction. */
  ends = 0
  readonly replies: Reply[] = []
  client = ''
  process: ProcessIdentity | undefined
  /** Of the view that it was told of. */
  viewPath: string | undefined
  lastHeardMs: number
  /** Requests that have had their turn and are not answered yet. */
  underWay = 0
  /** There are replies that somebody waits for. */
  isDirty = false
  closed = false
  /** Moves whenever all that was open in it is dropped. */
  life = 0

  constructor(peer: PeerId, nowMs: number) {
    this.peer = peer
    this.lastHeardMs = nowMs
  }

  get load(): number {
    return this.queue.length + this.underWay
  }
}

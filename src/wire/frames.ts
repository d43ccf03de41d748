import { VirgaError } from '../errors.js'
import { limitExceeded } from '../limits.js'
import type { MessageType } from './message.js'
import { PROTOCOL_VERSION, REPLIES, REQUESTS, type Reply, type Request } from './messages.js'
import { pack, packOnLoan, unpack } from './msgpack.js'
import {
  PEER_REPLIES,
  PEER_REQUESTS,
  PEER_VERSION,
  type PeerReply,
  type PeerRequest,
  PUBLICATIONS,
  type PublicationMessage,
} from './peer-messages.js'
import type { Fields } from './schema.js'

/**
 * A frame is one MessagePack array: the protocol version, then messages. One frame carries all that a sender had to say
 * in one turn of its event loop: many small messages are what costs.
 */
type Table = Readonly<Record<string, MessageType<string, Fields>>>

/** Messages in one frame, either way. */
export const FRAME_MESSAGES_MAX = 16_384
/** MessagePack values in one frame of requests, arrays included. Answers come from the node, which is trusted. */
export const REQUEST_VALUES_MAX = 1_048_576
/** The same in a frame between nodes, whose senders bound what they put into one. */
const PEER_VALUES_MAX = 16_777_216

/** Encodes and decodes the frames of one direction. */
class FrameCodec<M extends { readonly type: string; readonly request: number }> {
  readonly #byName: ReadonlyMap<string, MessageType<string, Fields>>
  readonly #byNumber: ReadonlyMap<number, MessageType<string, Fields>>
  readonly #version: number
  readonly #valuesMax: number

  constructor(version: number, table: Table, valuesMax: number) {
    this.#version = version
    this.#valuesMax = valuesMax
    this.#byName = new Map(Object.values(table).map((type) => [type.name, type]))
    this.#byNumber = new Map(Object.values(table).map((type) => [type.number, type]))
  }

  encode(messages: readonly M[]): Uint8Array {
    return pack(this.#items(messages))
  }

  /** The same, to be sent before anything else is packed. */
  encodeOnLoan(messages: readonly M[]): Uint8Array {
    return packOnLoan(this.#items(messages))
  }

  #items(messages: readonly M[]): unknown[] {
    const frame: unknown[] = [this.#version]
    for (const message of messages) {
      const type = this.#byName.get(message.type)!
      const items: unknown[] = [type.number, message.request]
      type.fields.write(message as never, items)
      frame.push(items)
    }
    return frame
  }

  /** Throws `Malformed`, `LimitExceeded` or `UnsupportedVersion`. Byte strings in the messages are views into `frame`. */
  decode(frame: Uint8Array): readonly M[] {
    const items = unpack(frame, this.#valuesMax)
    if (!Array.isArray(items)) throw new VirgaError('Malformed', 'a frame that is no array')
    if (items.length - 1 > FRAME_MESSAGES_MAX) {
      throw limitExceeded('a frame', items.length - 1, FRAME_MESSAGES_MAX, 'messages')
    }
    if (items[0] !== this.#version) {
      throw new VirgaError(
        'UnsupportedVersion',
        `a frame of protocol version ${shown(items[0])}; this side speaks ${this.#version}`,
      )
    }
    const messages: M[] = []
    for (let i = 1; i < items.length; i++) messages.push(this.#decodeMessage(items[i]))
    return messages
  }

  #decodeMessage(items: unknown): M {
    if (!Array.isArray(items)) throw new VirgaError('Malformed', 'a message that is no array')
    const type = this.#byNumber.get(items[0] as number)
    if (type === undefined)
      throw new VirgaError('Malformed', `a message of unknown number ${shown(items[0])}`)
    const request: unknown = items[1]
    if (!isRequestNumber(request)) {
      throw new VirgaError('Malformed', 'a request number that is no unsigned integer')
    }
    const message = type.fields.read(items, 2) as Record<string, unknown>
    message.type = type.name
    message.request = request
    return message as unknown as M
  }
}

export const requestFrames: FrameCodec<Request> = new FrameCodec(
  PROTOCOL_VERSION,
  REQUESTS,
  REQUEST_VALUES_MAX,
)
export const replyFrames: FrameCodec<Reply> = new FrameCodec(
  PROTOCOL_VERSION,
  REPLIES,
  Number.POSITIVE_INFINITY,
)
export const publicationFrames: FrameCodec<PublicationMessage> = new FrameCodec(
  PEER_VERSION,
  PUBLICATIONS,
  PEER_VALUES_MAX,
)
export const peerRequestFrames: FrameCodec<PeerRequest> = new FrameCodec(
  PEER_VERSION,
  PEER_REQUESTS,
  PEER_VALUES_MAX,
)
export const peerReplyFrames: FrameCodec<PeerReply> = new FrameCodec(
  PEER_VERSION,
  PEER_REPLIES,
  PEER_VALUES_MAX,
)

/** What stands where a number is due. Never more than a few characters: it goes into answers and logs. */
function shown(value: unknown): string {
  return typeof value === 'number'
    ? String(value)
    : `of type ${Array.isArray(value) ? 'array' : typeof value}`
}

function isRequestNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/**
 * The request numbers of a frame of another version, as far as they can be read: whoever sent them is told in vain
 * otherwise. Empty if nothing can be made of it.
 */
export function requestNumbers(frame: Uint8Array): readonly number[] {
  try {
    const items = unpack(frame, REQUEST_VALUES_MAX)
    if (!Array.isArray(items)) return []
    return items
      .slice(1)
      .flatMap((item) => (Array.isArray(item) && isRequestNumber(item[1]) ? [item[1]] : []))
  } catch {
    return []
  }
}

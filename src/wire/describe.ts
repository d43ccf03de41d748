import { ERROR_CODES, isRetryable } from '../errors.js'
import type { MessageType } from './message.js'
import { PROTOCOL_VERSION, REPLIES, REQUESTS } from './messages.js'
import { PEER_REPLIES, PEER_REQUESTS, PEER_VERSION, PUBLICATIONS } from './peer-messages.js'
import { STATE } from './publications.js'
import type { Fields } from './schema.js'

export type DescribedFields = readonly { readonly name: string; readonly type: string }[]

export interface DescribedMessage {
  readonly name: string
  readonly number: number
  readonly fields: DescribedFields
}

/** The protocol as data: what protocol/schema.json holds, for whoever writes a client in another language. */
export interface ProtocolDescription {
  readonly version: number
  readonly requests: readonly DescribedMessage[]
  readonly replies: readonly DescribedMessage[]
  readonly errorCodes: readonly { readonly code: string; readonly retryable: boolean }[]
}

export function describeProtocol(): ProtocolDescription {
  return {
    version: PROTOCOL_VERSION,
    requests: Object.values(REQUESTS).map(describeMessage),
    replies: Object.values(REPLIES).map(describeMessage),
    errorCodes: ERROR_CODES.map((code) => ({ code, retryable: isRetryable(code) })),
  }
}

/** What nodes say to each other, as data: protocol/peer-schema.json. */
export interface PeerProtocolDescription {
  readonly version: number
  readonly publications: readonly DescribedMessage[]
  readonly requests: readonly DescribedMessage[]
  readonly replies: readonly DescribedMessage[]
  /** The fields of a whole history, which `stated` carries in pieces. */
  readonly state: DescribedFields
}

export function describePeerProtocol(): PeerProtocolDescription {
  return {
    version: PEER_VERSION,
    publications: Object.values(PUBLICATIONS).map(describeMessage),
    requests: Object.values(PEER_REQUESTS).map(describeMessage),
    replies: Object.values(PEER_REPLIES).map(describeMessage),
    state: STATE.describeFields(),
  }
}

function describeMessage({ name, number, fields }: MessageType<string, Fields>): DescribedMessage {
  return { name, number, fields: fields.describeFields() }
}

import { ERROR_CODES, isRetryable } from '../errors.js'
import type { MessageType } from './message.js'
import { PROTOCOL_VERSION, REPLIES, REQUESTS } from './messages.js'
import type { Fields } from './schema.js'

export interface DescribedMessage {
  readonly name: string
  readonly number: number
  readonly fields: readonly { readonly name: string; readonly type: string }[]
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

function describeMessage({ name, number, fields }: MessageType<string, Fields>): DescribedMessage {
  return { name, number, fields: fields.describeFields() }
}

import { makeTxnId } from '../../src/core/ids.js'
import type { RequestOf, Unnumbered } from '../../src/wire/messages.js'

/** A begin that asks for nothing in particular. */
export const beginOf = (handle: number): Unnumbered<RequestOf<'begin'>> => ({
  type: 'begin',
  handle,
  id: makeTxnId(Date.UTC(2026, 0, 1), new Uint8Array(10)),
  keyed: false,
  deadlineMs: null,
  consistency: null,
  after: null,
  lookup: false,
  snapshot: null,
})

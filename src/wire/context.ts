import type { Context, WriteSet, WriteSetBody } from '../core/context.js'
import { departuresOf } from '../core/cut.js'
import { CONSISTENCIES } from '../core/modes.js'
import { VirgaError } from '../errors.js'
import { pack, unpack } from './msgpack.js'
import { bool, type Infer, list, nullable, oneOf, Struct, text, tuple, uint } from './schema.js'
import { attempt, cut, hlc, origin, packCut, txnId, unpackCut, writes } from './types.js'

/**
 * A context as text: base64url of a MessagePack array, the context version and its fields, followed by a message
 * authentication code of `MAC_BYTES` over it. Only nodes read and make contexts; to everyone else they are opaque.
 */
const CONTEXT_VERSION = 1
export const MAC_BYTES = 32

/** Computes the authentication code: HMAC-SHA-256 under the cluster's key. */
export type Mac = (payload: Uint8Array) => Uint8Array

const writeSet = tuple(
  text,
  hlc,
  list(text),
  oneOf('inline', 'held', 'durable'),
  nullable(writes),
  nullable(origin),
  nullable(text),
)

const CONTEXT = new Struct({
  txn: txnId,
  attempt,
  deadlineMs: uint,
  consistency: oneOf(...CONSISTENCIES),
  keyed: bool,
  cut,
  departures: uint,
  sender: origin,
  heads: list(text),
  lineage: list(writeSet),
})

export function encodeContext(context: Context, mac: Mac): string {
  const items: unknown[] = [CONTEXT_VERSION]
  const { cut, lineage, ...rest } = context
  CONTEXT.write(
    { ...rest, cut: packCut(cut), departures: departuresOf(cut), lineage: lineage.map(packWriteSet) },
    items,
  )
  const payload = pack(items)
  const signed = Buffer.allocUnsafe(payload.length + MAC_BYTES)
  signed.set(payload)
  signed.set(mac(payload), payload.length)
  return signed.toString('base64url')
}

/** Throws `ContextInvalid` for text that no node with the same key has made, and for other versions. */
export function decodeContext(encoded: string, mac: Mac): Context {
  const signed = Buffer.from(encoded, 'base64url')
  // A decoder of base64 passes over what it doesn't know; what it passed over was not signed.
  if (signed.length <= MAC_BYTES || signed.toString('base64url') !== encoded)
    throw invalid('it is no context')
  const payload = signed.subarray(0, signed.length - MAC_BYTES)
  if (!constantTimeEqual(mac(payload), signed.subarray(payload.length))) {
    throw invalid('it was changed, cut short, or made by another cluster')
  }
  try {
    const items = unpack(payload) as readonly unknown[]
    if (items[0] !== CONTEXT_VERSION)
      throw invalid(`it has version ${String(items[0])}; this node reads ${CONTEXT_VERSION}`)
    const { cut, departures, lineage, ...rest } = CONTEXT.read(items, 1)
    return { ...rest, cut: unpackCut(cut, departures), lineage: lineage.map(unpackWriteSet) }
  } catch (cause) {
    if (VirgaError.is(cause) && cause.code === 'ContextInvalid') throw cause
    throw invalid('it can not be read', cause)
  }
}

function packWriteSet({ id, hlc, parents, body }: WriteSet): Infer<typeof writeSet> {
  switch (body.kind) {
    case 'inline':
      return [id, hlc, parents, 'inline', [...body.writes], null, null]
    case 'held':
      return [id, hlc, parents, 'held', null, body.origin, null]
    case 'durable':
      return [id, hlc, parents, 'durable', null, null, body.blob]
  }
}

function unpackWriteSet([id, at, parents, kind, inline, holder, blob]: Infer<typeof writeSet>): WriteSet {
  return { id, hlc: at, parents, body: unpackBody(kind, inline, holder, blob) }
}

function unpackBody(
  kind: WriteSetBody['kind'],
  inline: Infer<typeof writes> | null,
  holder: Infer<typeof origin> | null,
  blob: string | null,
): WriteSetBody {
  if (kind === 'inline' && inline !== null) return { kind, writes: new Map(inline) }
  if (kind === 'held' && holder !== null) return { kind, origin: holder }
  if (kind === 'durable' && blob !== null) return { kind, blob }
  throw invalid(`a write set of kind ${kind} lacks its place`)
}

/** The time must not tell how much of a forged code was right. */
function constantTimeEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!
  return difference === 0
}

function invalid(why: string, cause?: unknown): VirgaError {
  return new VirgaError('ContextInvalid', `a context was refused: ${why}`, { cause })
}

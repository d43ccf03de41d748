import type { Context, WriteSet, WriteSetBody } from '../core/context.js'
import { departuresOf } from '../core/cut.js'
import { CONSISTENCIES } from '../core/modes.js'
import { VirgaError } from '../errors.js'
import { pack, unpack } from './msgpack.js'
import { bool, bytes, type Infer, list, nullable, oneOf, Struct, text, tuple, uint } from './schema.js'
import { attempt, cut, hlc, origin, packCut, txnId, unpackCut, writes } from './types.js'

/**
 * A context as text: base64url of a MessagePack array, the context version and its fields, followed by a message
 * authentication code of `MAC_BYTES` over it, and a seal of `SEAL_BYTES` over both. Only nodes make contexts. Executors have
 * the key of the seal: so they can read what the nodes of their cluster have handed off, without asking.
 */
const CONTEXT_VERSION = 1
export const MAC_BYTES = 32
export const SEAL_BYTES = 16

/** HMAC-SHA-256 under some key. */
export type Mac = (payload: Uint8Array) => Uint8Array
export type MacFactory = (key: Uint8Array) => Mac

/** The keys of a cluster, by which its nodes sign contexts. That of the seal is made of the other, and told to executors. */
export class ContextKeys {
  readonly mac: Mac
  readonly sealKey: Uint8Array
  readonly seal: Mac

  constructor(clusterKey: Uint8Array, macOf: MacFactory) {
    this.mac = macOf(clusterKey)
    // No context begins with these bytes.
    this.sealKey = this.mac(Buffer.from('seal'))
    this.seal = macOf(this.sealKey)
  }
}

const writeSet = tuple(
  text,
  hlc,
  list(text),
  oneOf('inline', 'held', 'durable'),
  nullable(writes),
  nullable(origin),
  nullable(text),
  nullable(list(text)),
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
  snapshot: nullable(bytes),
  heads: list(text),
  lineage: list(writeSet),
})

export function encodeContext(context: Context, keys: ContextKeys): string {
  const items: unknown[] = [CONTEXT_VERSION]
  const { cut, lineage, snapshot = null, ...rest } = context
  CONTEXT.write(
    {
      ...rest,
      cut: packCut(cut),
      departures: departuresOf(cut),
      lineage: lineage.map(packWriteSet),
      snapshot,
    },
    items,
  )
  const payload = pack(items)
  const sealedBytes = payload.length + MAC_BYTES
  const text = Buffer.allocUnsafe(sealedBytes + SEAL_BYTES)
  text.set(payload)
  text.set(keys.mac(payload), payload.length)
  text.set(keys.seal(text.subarray(0, sealedBytes)).subarray(0, SEAL_BYTES), sealedBytes)
  return text.toString('base64url')
}

/** Throws `ContextInvalid` for text that no node with the same keys has made, and for other versions. */
export function decodeContext(encoded: string, keys: ContextKeys): Context {
  const { payload, mac, sealed, seal } = partsOf(encoded)
  if (!constantTimeEqual(keys.mac(payload), mac) || !isSealed(keys.seal, sealed, seal)) throw changed()
  return read(payload)
}

/** For executors: what a node of their cluster has handed off. Undefined: it can't be told that one has, and the node must be asked. */
export function decodeSealed(encoded: string, sealOf: Mac): Context | undefined {
  try {
    const { payload, sealed, seal } = partsOf(encoded)
    return isSealed(sealOf, sealed, seal) ? read(payload) : undefined
  } catch (error) {
    if (VirgaError.is(error) && error.code === 'ContextInvalid') return undefined
    throw error
  }
}

interface Parts {
  readonly payload: Uint8Array
  readonly mac: Uint8Array
  /** Both of these. */
  readonly sealed: Uint8Array
  readonly seal: Uint8Array
}

function partsOf(encoded: string): Parts {
  const bytes = Buffer.from(encoded, 'base64url')
  const sealedBytes = bytes.length - SEAL_BYTES
  const payloadBytes = sealedBytes - MAC_BYTES
  // A decoder of base64 passes over what it doesn't know; what it passed over was not signed.
  if (payloadBytes <= 0 || bytes.toString('base64url') !== encoded) throw invalid('it is no context')
  return {
    payload: bytes.subarray(0, payloadBytes),
    mac: bytes.subarray(payloadBytes, sealedBytes),
    sealed: bytes.subarray(0, sealedBytes),
    seal: bytes.subarray(sealedBytes),
  }
}

function isSealed(sealOf: Mac, sealed: Uint8Array, seal: Uint8Array): boolean {
  return constantTimeEqual(sealOf(sealed).subarray(0, SEAL_BYTES), seal)
}

function read(payload: Uint8Array): Context {
  try {
    const items = unpack(payload) as readonly unknown[]
    if (items[0] !== CONTEXT_VERSION)
      throw invalid(`it has version ${String(items[0])}; this node reads ${CONTEXT_VERSION}`)
    const { cut, departures, lineage, snapshot, ...rest } = CONTEXT.read(items, 1)
    const context = { ...rest, cut: unpackCut(cut, departures), lineage: lineage.map(unpackWriteSet) }
    return snapshot === null ? context : { ...context, snapshot }
  } catch (cause) {
    if (VirgaError.is(cause) && cause.code === 'ContextInvalid') throw cause
    throw invalid('it can not be read', cause)
  }
}

function packWriteSet({ id, hlc, parents, body }: WriteSet): Infer<typeof writeSet> {
  switch (body.kind) {
    case 'inline':
      return [id, hlc, parents, 'inline', [...body.writes], null, null, null]
    case 'held':
      return [id, hlc, parents, 'held', null, body.origin, null, body.keys ?? null]
    case 'durable':
      return [id, hlc, parents, 'durable', null, null, body.blob, body.keys ?? null]
  }
}

function unpackWriteSet([id, at, parents, kind, inline, holder, blob, keys]: Infer<
  typeof writeSet
>): WriteSet {
  const body = unpackBody(kind, inline, holder, blob)
  return { id, hlc: at, parents, body: body.kind === 'inline' || keys === null ? body : { ...body, keys } }
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

function changed(): VirgaError {
  return invalid('it was changed, cut short, or made by another cluster')
}

function invalid(why: string, cause?: unknown): VirgaError {
  return new VirgaError('ContextInvalid', `a context was refused: ${why}`, { cause })
}

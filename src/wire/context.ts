import type { Context, WriteSet, WriteSetBody } from '../core/context.js'
import { departuresOf } from '../core/cut.js'
import { CONSISTENCIES } from '../core/modes.js'
import { VirgaError } from '../errors.js'
import { packOnLoan, unpack } from './msgpack.js'
import { bool, bytes, type Infer, list, nullable, oneOf, Struct, text, tuple, uint } from './schema.js'
import { attempt, cut, hlc, origin, packCut, txnId, unpackCut, writes } from './types.js'

/**
 * A context as bytes: a MessagePack array, the context version and its fields, followed by an authentication code of
 * `CODE_BYTES` over it, under a key that is made of the cluster's and told to executors when they connect. Nodes and executors make
 * contexts, and read them. As text, for the caller's DAG edges: base64url of these bytes.
 */
const CONTEXT_VERSION = 2
export const CODE_BYTES = 32
/** MessagePack values in one context, arrays included: a thousand branches that are joined, of some dozens of keys each. */
const VALUES_MAX = 262_144

/** HMAC-SHA-256 under some key. */
export type Mac = (payload: Uint8Array) => Uint8Array
export type MacFactory = (key: Uint8Array) => Mac

/** What contexts of a cluster are signed by. */
export interface ContextSigning {
  /** Told to executors. */
  readonly key: Uint8Array
  readonly mac: Mac
  /** Under a key that executors are not told. */
  readonly nodeMac: Mac
}

export function contextSigning(clusterKey: Uint8Array, macOf: MacFactory): ContextSigning {
  const derive = macOf(clusterKey)
  const key = Uint8Array.from(derive(Buffer.from('context')))
  return { key, mac: macOf(key), nodeMac: macOf(Uint8Array.from(derive(Buffer.from('node')))) }
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
  nullable(bytes),
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

export function encodeContext(context: Context, mac: Mac): Buffer {
  const payload = packOnLoan(itemsOf(context))
  return signed(payload, Buffer.allocUnsafe(payload.length + CODE_BYTES), mac)
}

/** The same as text. */
export function encodeContextText(context: Context, mac: Mac): string {
  const payload = packOnLoan(itemsOf(context))
  const bytes = payload.length + CODE_BYTES
  // Of a few KiB for each function, V8 would soon look for garbage.
  const room = bytes <= textRoom.length ? textRoom.subarray(0, bytes) : Buffer.allocUnsafe(bytes)
  return contextText(signed(payload, room, mac))
}

const TEXT_ROOM_BYTES = 32 * 1024
const textRoom = Buffer.allocUnsafeSlow(TEXT_ROOM_BYTES)

function signed(payload: Uint8Array, room: Buffer, mac: Mac): Buffer {
  room.set(payload)
  room.set(mac(payload), payload.length)
  return room
}

function itemsOf(context: Context): unknown[] {
  const items: unknown[] = [CONTEXT_VERSION]
  const { txn, attempt, deadlineMs, consistency, keyed, cut, sender, snapshot = null, heads } = context
  // Field by field, here and below: made of what is left of another object, it would be ten times as slow to make.
  CONTEXT.write(
    {
      txn,
      attempt,
      deadlineMs,
      consistency,
      keyed,
      cut: packCut(cut),
      departures: departuresOf(cut),
      sender,
      snapshot,
      heads,
      lineage: context.lineage.map(packWriteSet),
    },
    items,
  )
  return items
}

/** Throws `ContextInvalid` for what nobody with the same key has made, and for other versions. What it returns may be views into `bytes`. */
export function decodeContext(bytes: Uint8Array, mac: Mac): Context {
  const payloadBytes = bytes.length - CODE_BYTES
  if (payloadBytes <= 0) throw invalid('it is no context')
  const payload = bytes.subarray(0, payloadBytes)
  if (!constantTimeEqual(mac(payload), bytes.subarray(payloadBytes)))
    throw invalid('it was changed, cut short, or made by another cluster')
  return read(payload)
}

export function contextText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64url')
}

/** Throws `ContextInvalid` for text that is not exactly what some bytes are written as. */
export function contextBytes(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64url')
  // A decoder of base64 passes over what it doesn't know, takes two alphabets, and forgives the last character: such text was not signed.
  const isWhole = text.length % 4 !== 1 && bytes.length === Math.floor((text.length * 3) / 4)
  const lastChars = text.length % 4 || 4
  if (
    !isWhole ||
    text.includes('+') ||
    text.includes('/') ||
    bytes.subarray(-(bytes.length % 3 || 3)).toString('base64url') !== text.slice(-lastChars)
  )
    throw invalid('it is no context')
  return bytes
}

function read(payload: Uint8Array): Context {
  try {
    const items = unpack(payload, VALUES_MAX) as readonly unknown[]
    if (items[0] !== CONTEXT_VERSION)
      throw invalid(`it has version ${String(items[0])}; this version of virga reads ${CONTEXT_VERSION}`)
    const read = CONTEXT.read(items, 1)
    const { txn, attempt, deadlineMs, consistency, keyed, sender, snapshot, heads } = read
    const cut = unpackCut(read.cut, read.departures)
    const lineage = read.lineage.map(unpackWriteSet)
    return snapshot === null
      ? { txn, attempt, deadlineMs, consistency, keyed, cut, sender, heads, lineage }
      : { txn, attempt, deadlineMs, consistency, keyed, cut, sender, snapshot, heads, lineage }
  } catch (cause) {
    if (VirgaError.is(cause) && (cause.code === 'ContextInvalid' || cause.code === 'LimitExceeded'))
      throw cause
    throw invalid('it can not be read', cause)
  }
}

function packWriteSet({ id, hlc, parents, body }: WriteSet): Infer<typeof writeSet> {
  switch (body.kind) {
    case 'inline':
      return [id, hlc, parents, 'inline', [...body.writes], null, null, null, null]
    case 'held':
      return [id, hlc, parents, 'held', null, body.origin, null, body.keys ?? null, body.proof ?? null]
    case 'durable':
      return [id, hlc, parents, 'durable', null, null, body.blob, body.keys ?? null, body.proof ?? null]
  }
}

function unpackWriteSet([id, at, parents, kind, inline, holder, blob, keys, proof]: Infer<
  typeof writeSet
>): WriteSet {
  const body = unpackBody(kind, inline, holder, blob)
  if (body.kind === 'inline') return { id, hlc: at, parents, body }
  const more = { ...(keys === null ? {} : { keys }), ...(proof === null ? {} : { proof }) }
  return { id, hlc: at, parents, body: { ...body, ...more } }
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
export function constantTimeEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!
  return difference === 0
}

function invalid(why: string, cause?: unknown): VirgaError {
  return new VirgaError('ContextInvalid', `a context was refused: ${why}`, { cause })
}

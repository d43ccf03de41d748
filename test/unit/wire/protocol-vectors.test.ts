import { describe, expect, test } from 'vitest'
import type { Context } from '../../../src/core/context.js'
import { type Cut, cutOf } from '../../../src/core/cut.js'
import type { Try } from '../../../src/core/decision.js'
import type { HistoryState } from '../../../src/core/history.js'
import type { Origin, TxnId } from '../../../src/core/ids.js'
import * as layout from '../../../src/core/layout.js'
import { macOf } from '../../../src/platform/mac.js'
import {
  contextBytes,
  contextSigning,
  contextText,
  decodeContext,
  encodeContext,
} from '../../../src/wire/context.js'
import {
  peerReplyFrames,
  peerRequestFrames,
  publicationFrames,
  replyFrames,
  requestFrames,
} from '../../../src/wire/frames.js'
import { PROTOCOL_VERSION, REPLIES, REQUESTS } from '../../../src/wire/messages.js'
import { PEER_REPLIES, PEER_REQUESTS, PEER_VERSION, PUBLICATIONS } from '../../../src/wire/peer-messages.js'
import { packState, unpackState } from '../../../src/wire/publications.js'
import * as records from '../../../src/wire/records.js'
import { decodeToken, encodeToken, type SessionToken } from '../../../src/wire/token.js'
import { decodeValue, encodeValue } from '../../../src/wire/value.js'
import * as independent from '../../support/messagepack.mjs'
import { isWriting, readProtocolFile, revive, writeProtocolFile } from '../../support/protocol-files.js'
import { normal } from './normal.js'

/**
 * Golden bytes. Those of frames move with the protocol's version. Those of what lies in storage or travels between nodes
 * never do: what was written once stays readable. An entry that is new has no bytes yet; `npm run protocol` adds them.
 */
interface Vector {
  readonly name: string
  hex?: string
  text?: string
}

interface VectorFile<V extends Vector> {
  version?: number
  readonly clusterKey?: string
  readonly contextKey?: string
  readonly vectors: readonly V[]
}

function load<V extends Vector>(name: string): VectorFile<V> {
  return JSON.parse(readProtocolFile(`vectors/${name}.json`) ?? '{"vectors":[]}') as VectorFile<V>
}

/** Adds what is missing, if that is asked for. */
function complete<V extends Vector>(
  name: string,
  file: VectorFile<V>,
  encode: (vector: V) => object,
  version = PROTOCOL_VERSION,
): void {
  if (!isWriting) return
  const isOld = file.version !== undefined && file.version !== version
  for (const vector of file.vectors)
    if (isOld || (vector.hex ?? vector.text) === undefined) Object.assign(vector, encode(vector))
  if (isOld) file.version = version
  writeProtocolFile(`vectors/${name}.json`, `${JSON.stringify(file, undefined, 2)}\n`)
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const bytesOf = (hex: string | undefined): Uint8Array => new Uint8Array(Buffer.from(hex ?? '', 'hex'))

interface Codec {
  encode(messages: readonly never[]): Uint8Array
  decode(frame: Uint8Array): readonly unknown[]
}

describe.each<readonly [string, Codec, readonly string[], number]>([
  ['requests', requestFrames, Object.keys(REQUESTS), PROTOCOL_VERSION],
  ['replies', replyFrames, Object.keys(REPLIES), PROTOCOL_VERSION],
  ['peer-publications', publicationFrames, Object.keys(PUBLICATIONS), PEER_VERSION],
  ['peer-requests', peerRequestFrames, Object.keys(PEER_REQUESTS), PEER_VERSION],
  ['peer-replies', peerReplyFrames, Object.keys(PEER_REPLIES), PEER_VERSION],
])('frames of %s', (name, codec, types, version) => {
  interface Frame extends Vector {
    readonly messages: readonly { readonly type: string }[]
  }
  const file = load<Frame>(name)
  const messagesOf = (frame: Frame): readonly never[] => revive(frame.messages) as readonly never[]
  complete(name, file, (frame) => ({ hex: hexOf(codec.encode(messagesOf(frame))) }), version)

  test('are of this version, and show every message', () => {
    expect(file.version).toBe(version)
    const shown = file.vectors.flatMap(({ messages }) => messages.map(({ type }) => type))
    expect(types.filter((type) => !shown.includes(type))).toEqual([])
  })

  test.each(file.vectors)('$name', (frame) => {
    expect(hexOf(codec.encode(messagesOf(frame)))).toBe(frame.hex)
    expect(normal(codec.decode(bytesOf(frame.hex)))).toEqual(messagesOf(frame))
  })

  test.each(file.vectors)('$name, as another codec writes it: with 64-bit integers', (frame) => {
    const rewritten = independent.encode(independent.decode(bytesOf(frame.hex)))
    expect(normal(codec.decode(rewritten))).toEqual(messagesOf(frame))
  })
})

test('a frame with every integer as float 64, or as uint 64, is read the same', () => {
  const { hex, messages } = load<Vector & { messages: unknown }>('requests').vectors.find(
    ({ name }) => name === 'ping',
  )!
  expect(hex).toBe('9202920cce00010000')
  for (const wide of [
    '9202920ccb40f0000000000000',
    '9202920ccf0000000000010000',
    '9202920cd30000000000010000',
  ])
    expect(requestFrames.decode(bytesOf(wide))).toEqual(messages)
  const all = 'cf0000000000000002'
  expect(requestFrames.decode(bytesOf(`92${all}92cb4028000000000000ce00010000`))).toEqual(messages)
})

describe('values', () => {
  const file = load<Vector & { readonly value: unknown }>('values')
  complete('values', file, ({ value }) => ({ hex: hexOf(encodeValue(revive(value))) }))

  test.each(file.vectors)('$name', ({ value, hex }) => {
    expect(hexOf(encodeValue(revive(value)))).toBe(hex)
    expect(normal(decodeValue(bytesOf(hex)))).toEqual(revive(value))
  })
})

describe('records', () => {
  type Codec = readonly [encode: (record: never) => Uint8Array, decode: (bytes: Uint8Array) => unknown]
  const codecs: Readonly<Record<string, Codec>> = {
    standing: [records.encodeStanding, records.decodeStanding],
    pin: [records.encodePin, records.decodePin],
    order: [records.encodeOrder, records.decodeOrder],
    writeSet: [records.encodeWriteSet, records.decodeWriteSet],
    format: [records.encodeFormat, records.decodeFormat],
    minute: [records.encodeMinute, records.decodeMinute],
    base: [records.encodeBase, records.decodeBase],
    guard: [records.encodeGuard, records.decodeGuard],
    lease: [records.encodeLease, records.decodeLease],
    watermark: [records.encodeWatermark, records.decodeWatermark],
    departed: [records.encodeDeparted, records.decodeDeparted],
    compactedVector: [records.encodeCompacted, records.decodeCompacted],
  }
  const file = load<Vector & { readonly kind: string; readonly record: unknown }>('records')
  const recordOf = ({ kind, record }: { readonly kind: string; readonly record: unknown }): never => {
    const revived = revive(record)
    if (kind === 'writeSet') return new Map(revived as never) as never
    if (typeof revived !== 'object') return revived as never
    const cuts = Object.entries(revived as object).filter(([name]) =>
      ['cut', 'low', 'applied'].includes(name),
    )
    const { restored } = revived as { readonly restored?: readonly (readonly [string, number][])[] }
    const lists = restored === undefined ? {} : { restored: restored.map((cut) => new Map(cut)) }
    const maps = Object.fromEntries(cuts.map(([name, cut]) => [name, new Map(cut)]))
    return { ...revived, ...maps, ...lists } as never
  }
  complete('records', file, (vector) => ({ hex: hexOf(codecs[vector.kind]![0](recordOf(vector))) }))

  test('show every kind', () => {
    expect(new Set(file.vectors.map(({ kind }) => kind))).toEqual(new Set(Object.keys(codecs)))
  })

  test.each(file.vectors)('$name', (vector) => {
    const [encode, decode] = codecs[vector.kind]!
    expect(hexOf(encode(recordOf(vector)))).toBe(vector.hex)
    expect(normal(decode(bytesOf(vector.hex)))).toEqual(recordOf(vector))
  })
})

describe('places', () => {
  const places: Readonly<Record<string, (...args: never[]) => layout.Place>> = {
    decision: layout.decisionKey,
    late: layout.lateKey,
    blob: layout.blobKey,
    pin: layout.pinKey,
    order: layout.orderKey,
    base: layout.baseKey,
    guard: layout.guardKey,
    tombstone: layout.tombstoneKey,
    lease: layout.leaseKey,
    watermark: () => layout.CLUSTER_WATERMARK,
    compacted: () => layout.CLUSTER_COMPACTED,
    swept: () => layout.CLUSTER_SWEPT,
    sweptValues: () => layout.CLUSTER_SWEPT_VALUES,
    departed: () => layout.CLUSTER_DEPARTED,
    key: () => layout.CLUSTER_KEY,
    format: () => layout.CLUSTER_FORMAT,
    checkpoint: () => layout.CLUSTER_CHECKPOINT,
    ceiling: () => layout.CLUSTER_CEILING,
  }
  const file = load<Vector & { readonly kind: string; readonly args: never[] }>('places')
  const placeOf = ({ kind, args }: { kind: string; args: never[] }): string => {
    const { bucket, id } = places[kind]!(...args)
    return `${bucket} ${id}`
  }
  complete('places', file, (vector) => ({ text: placeOf(vector) }))

  test('show every kind', () => {
    expect(new Set(file.vectors.map(({ kind }) => kind))).toEqual(new Set(Object.keys(places)))
  })

  test('what an id says is what it was made of', () => {
    const argsOf = (kind: string): never[] => file.vectors.find((vector) => vector.kind === kind)!.args
    const [txn, blob] = argsOf('blob') as unknown as [TxnId, string]
    expect(layout.placedBlob(layout.blobKey(txn, blob).id)).toEqual({ txn, attempt: blob.slice(0, 24), blob })
    const [tried] = argsOf('pin') as unknown as [Try]
    expect(layout.pinnedTry(layout.pinKey(tried).id)).toEqual(tried)
    for (const id of ['', 'x', txn, `${txn}:`, `${txn}:x:y`, `${txn}:${blob.slice(1)}`, `x${txn}:${blob}`]) {
      expect(layout.placedBlob(id), id).toBeUndefined()
      expect(layout.pinnedTry(id), id).toBeUndefined()
    }
  })

  test('lie in buckets that can be listed', () => {
    const bucketOf = (kind: string): string =>
      placeOf(file.vectors.find((v) => v.kind === kind)!).split(' ')[0]!
    const minute = Number(bucketOf('decision').split('/')[1])
    expect(layout.decisionBuckets(minute)).toContain(bucketOf('decision'))
    expect(layout.blobBuckets(minute)).toContain(bucketOf('blob'))
    expect(layout.pinBuckets()).toContain(bucketOf('pin'))
    expect(layout.baseBuckets()).toContain(bucketOf('base'))
    expect(layout.guardBuckets()).toContain(bucketOf('guard'))
    expect(layout.MEMBER_BUCKET).toBe(bucketOf('lease'))
  })

  test.each(file.vectors)('$name', (vector) => {
    expect(placeOf(vector)).toBe(vector.text)
  })
})

describe('states', () => {
  const file = load<Vector & { readonly state: unknown }>('peer-states')
  const stateOf = (json: unknown): HistoryState => {
    const state = revive(json) as HistoryState
    const cutIn = (told: unknown): Cut => {
      const { departures, places } = told as { departures: number; places: readonly [Origin, number][] }
      return cutOf(places, departures)
    }
    const applied = state.applied.map((decision) => ({
      ...decision,
      publication: { ...decision.publication, cut: cutIn(decision.publication.cut) },
    }))
    return { ...state, vector: cutIn(state.vector), compacted: new Map(state.compacted), applied }
  }
  complete('peer-states', file, ({ state }) => ({ hex: hexOf(packState(stateOf(state))) }))

  test.each(file.vectors)('$name', ({ state, hex }) => {
    expect(hexOf(packState(stateOf(state)))).toBe(hex)
    expect(normal(unpackState(bytesOf(hex)))).toEqual(stateOf(state))
    expect(hexOf(packState(unpackState(bytesOf(hex))))).toBe(hex)
    expect(normal(unpackState(independent.encode(independent.decode(bytesOf(hex)))))).toEqual(stateOf(state))
  })
})

describe('contexts and tokens', () => {
  const file = load<Vector & { readonly context: unknown }>('contexts')
  const { key, mac } = contextSigning(bytesOf(file.clusterKey), macOf)
  const contextOf = (json: unknown): Context => {
    const { departures, ...context } = revive(json) as Context & { readonly departures: number }
    const lineage = context.lineage.map((writeSet) => {
      const { body } = writeSet
      if (body.kind !== 'inline') return writeSet
      return { ...writeSet, body: { ...body, writes: new Map(body.writes) } }
    })
    return { ...context, cut: cutOf(context.cut, departures), lineage }
  }
  complete('contexts', file, ({ context }) => ({ text: contextText(encodeContext(contextOf(context), mac)) }))

  test.each(file.vectors)('a context $name', ({ context, text = '' }) => {
    expect(contextText(encodeContext(contextOf(context), mac))).toBe(text)
    expect(normal(decodeContext(contextBytes(text), mac))).toEqual(contextOf(context))
    expect(hexOf(key)).toBe(file.contextKey)
  })

  const tokens = load<Vector & { readonly token: SessionToken }>('tokens')
  complete('tokens', tokens, ({ token }) => ({ text: encodeToken(token) }))

  test.each(tokens.vectors)('$name', ({ token, text = '' }) => {
    expect(encodeToken(token)).toBe(text)
    expect(decodeToken(text)).toEqual(token)
  })
})

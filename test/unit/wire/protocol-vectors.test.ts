import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Context } from '../../../src/core/context.js'
import type { Standing } from '../../../src/core/decision.js'
import { blobKey, decisionKey, lateKey, orderKey, type Place, pinKey } from '../../../src/core/layout.js'
import { decodeContext, encodeContext } from '../../../src/wire/context.js'
import { replyFrames, requestFrames } from '../../../src/wire/frames.js'
import { PROTOCOL_VERSION, REPLIES, REQUESTS, type Reply, type Request } from '../../../src/wire/messages.js'
import * as records from '../../../src/wire/records.js'
import { decodeToken, encodeToken, type SessionToken } from '../../../src/wire/token.js'
import { decodeValue, encodeValue } from '../../../src/wire/value.js'
import * as independent from '../../support/messagepack.mjs'
import { isWriting, readProtocolFile, revive, writeProtocolFile } from '../../support/protocol-files.js'

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
  readonly vectors: readonly V[]
}

function load<V extends Vector>(name: string): VectorFile<V> {
  return JSON.parse(readProtocolFile(`vectors/${name}.json`) ?? '{"vectors":[]}') as VectorFile<V>
}

/** Adds what is missing, if that is asked for. */
function complete<V extends Vector>(name: string, file: VectorFile<V>, encode: (vector: V) => object): void {
  if (!isWriting) return
  const isOld = file.version !== undefined && file.version !== PROTOCOL_VERSION
  for (const vector of file.vectors)
    if (isOld || (vector.hex ?? vector.text) === undefined) Object.assign(vector, encode(vector))
  if (isOld) file.version = PROTOCOL_VERSION
  writeProtocolFile(`vectors/${name}.json`, `${JSON.stringify(file, undefined, 2)}\n`)
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const bytesOf = (hex: string | undefined): Uint8Array => new Uint8Array(Buffer.from(hex ?? '', 'hex'))

/** Byte strings of any class as Uint8Array, so that they compare by their bytes. */
function normal(value: unknown): unknown {
  if (value instanceof Uint8Array) return new Uint8Array(value)
  if (Array.isArray(value)) return value.map(normal)
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, normal(item)]))
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, normal(item)]))
}

describe.each([
  ['requests', requestFrames, Object.keys(REQUESTS)],
  ['replies', replyFrames, Object.keys(REPLIES)],
] as const)('frames of %s', (name, codec, types) => {
  interface Frame extends Vector {
    readonly messages: readonly (Request & Reply)[]
  }
  const file = load<Frame>(name)
  const messagesOf = (frame: Frame) => revive(frame.messages) as Frame['messages']
  complete(name, file, (frame) => ({ hex: hexOf(codec.encode(messagesOf(frame))) }))

  test('are of this version, and show every message', () => {
    expect(file.version).toBe(PROTOCOL_VERSION)
    const shown = file.vectors.flatMap(({ messages }) => messages.map(({ type }) => type))
    expect(types.filter((type) => !shown.includes(type as never))).toEqual([])
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
  expect(hex).toBe('9201920cce00010000')
  for (const wide of [
    '9201920ccb40f0000000000000',
    '9201920ccf0000000000010000',
    '9201920cd30000000000010000',
  ])
    expect(requestFrames.decode(bytesOf(wide))).toEqual(messages)
  const all = 'cf0000000000000001'
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
  }
  const file = load<Vector & { readonly kind: string; readonly record: unknown }>('records')
  const recordOf = ({ kind, record }: { readonly kind: string; readonly record: unknown }): never => {
    const revived = revive(record) as Standing & { cut?: unknown }
    if (kind === 'writeSet') return new Map(revived as never) as never
    if (kind === 'standing' && revived.status === 'committed')
      return { ...revived, result: revived.result, cut: new Map(revived.cut) } as never
    return (revived.cut === undefined ? revived : { ...revived, cut: new Map(revived.cut as never) }) as never
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
  const places: Readonly<Record<string, (...args: never[]) => Place>> = {
    decision: decisionKey,
    late: lateKey,
    blob: blobKey,
    pin: pinKey,
    order: orderKey,
  }
  const file = load<Vector & { readonly kind: string; readonly args: never[] }>('places')
  const placeOf = ({ kind, args }: { kind: string; args: never[] }): string => {
    const { bucket, id } = places[kind]!(...args)
    return `${bucket} ${id}`
  }
  complete('places', file, (vector) => ({ text: placeOf(vector) }))

  test.each(file.vectors)('$name', (vector) => {
    expect(placeOf(vector)).toBe(vector.text)
  })
})

describe('contexts and tokens', () => {
  const file = load<Vector & { readonly context: unknown }>('contexts')
  const mac = (payload: Uint8Array): Uint8Array =>
    createHmac('sha256', bytesOf(file.clusterKey)).update(payload).digest()
  const contextOf = (json: unknown): Context => {
    const context = revive(json) as Context
    const lineage = context.lineage.map((writeSet) => {
      const { body } = writeSet
      if (body.kind !== 'inline') return writeSet
      return { ...writeSet, body: { ...body, writes: new Map(body.writes) } }
    })
    return { ...context, cut: new Map(context.cut), lineage }
  }
  complete('contexts', file, ({ context }) => ({ text: encodeContext(contextOf(context), mac) }))

  test.each(file.vectors)('a context $name', ({ context, text = '' }) => {
    expect(encodeContext(contextOf(context), mac)).toBe(text)
    expect(normal(decodeContext(text, mac))).toEqual(contextOf(context))
  })

  const tokens = load<Vector & { readonly token: SessionToken }>('tokens')
  complete('tokens', tokens, ({ token }) => ({ text: encodeToken(token) }))

  test.each(tokens.vectors)('$name', ({ token, text = '' }) => {
    expect(encodeToken(token)).toBe(text)
    expect(decodeToken(text)).toEqual(token)
  })
})

/** What the parts of the network suite share. */
import assert from 'node:assert/strict'
import type { Line, LineHandlers, Network, NetworkHandlers, NodeAddress } from '../../ports/network.js'
import type { PeerId } from '../../ports/transport.js'

export interface Context {
  network(at?: NodeAddress): Network
  until(what: string, look: () => boolean): Promise<unknown>
}

export type Check = (name: string, run: (context: Context) => Promise<void>) => void

export interface Heard extends NetworkHandlers {
  readonly requests: { readonly from: PeerId; readonly frame: Uint8Array }[]
  readonly refusals: string[]
}

/** Keeps what a network hears. */
export function hearing(onRequest?: (from: PeerId, frame: Uint8Array) => void): Heard {
  const requests: { readonly from: PeerId; readonly frame: Uint8Array }[] = []
  const refusals: string[] = []
  return {
    requests,
    refusals,
    onRequest(from, frame) {
      requests.push({ from, frame })
      onRequest?.(from, frame)
    },
    onRefused: (why) => void refusals.push(why),
  }
}

export interface LineLog extends LineHandlers {
  readonly frames: Uint8Array[]
  /** `up` and `down`, in order. */
  readonly turns: string[]
  readonly isUp: boolean
}

/** Keeps what a line hears. */
export function logging(onFrame?: (frame: Uint8Array) => void): LineLog {
  const frames: Uint8Array[] = []
  const turns: string[] = []
  return {
    frames,
    turns,
    get isUp() {
      return turns.at(-1) === 'up'
    },
    onFrame(frame) {
      frames.push(frame)
      onFrame?.(frame)
    },
    onUp: () => void turns.push('up'),
    onDown: () => void turns.push('down'),
  }
}

export interface DialledLine {
  readonly line: Line
  readonly log: LineLog
}

export async function dialled({ until }: Context, from: Network, to: NodeAddress): Promise<DialledLine> {
  const log = logging()
  const line = from.dial(to.requests, to.publicKey, log)
  await until('the line is up', () => log.isUp)
  return { line, log }
}

export async function subscribed({ until }: Context, from: Network, to: NodeAddress): Promise<DialledLine> {
  const log = logging()
  const line = from.subscribe(to.publications, to.publicKey, log)
  await until('the subscription is up', () => log.isUp)
  return { line, log }
}

/** Two networks that listen and may speak with each other. The second answers each request with what `reply` makes of it. */
export async function pair(
  context: Context,
  reply: (frame: Uint8Array) => Uint8Array | undefined = (frame) => frame,
): Promise<{
  readonly a: Network
  readonly b: Network
  readonly aAddress: NodeAddress
  readonly bAddress: NodeAddress
  readonly aHeard: Heard
  readonly bHeard: Heard
}> {
  const a = context.network()
  const b = context.network()
  const aHeard = hearing()
  const bHeard = hearing((from, frame) => {
    const answer = reply(frame)
    if (answer !== undefined) assert.equal(b.answer(from, answer), true, 'an answer is taken')
  })
  const aAddress = await a.listen(aHeard)
  const bAddress = await b.listen(bHeard)
  acquaint([a, aAddress], [b, bAddress])
  return { a, b, aAddress, bAddress, aHeard, bHeard }
}

/** Each may speak with all. */
export function acquaint(...members: readonly (readonly [Network, NodeAddress])[]): void {
  const keys = new Set(members.flatMap(([, { publicKey }]) => (publicKey === null ? [] : [publicKey])))
  for (const [network] of members) network.allow(keys)
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

export function texts(frames: readonly Uint8Array[]): string[] {
  return frames.map((frame) => new TextDecoder().decode(frame))
}

export function assertFrame(actual: Uint8Array | undefined, expected: Uint8Array): void {
  assert.ok(actual !== undefined, 'a frame was expected')
  assert.equal(actual.length, expected.length)
  assert.equal(Buffer.compare(actual, expected), 0, 'the bytes differ')
}

/** 0 to `count` - 1. */
export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n)
}

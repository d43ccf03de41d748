import { expect, test } from 'vitest'
import type { Line, Network } from '../../../src/ports/network.js'
import { simulate } from '../../../src/testing/sim-clock.js'
import { type NetworkFaults, SimNetwork } from '../../../src/testing/sim-network.js'

/** Two nodes: `a` has dialed and subscribed to `b`, which echoes requests. All that either heard, in order. */
async function pair(seed = 1, faults: Partial<NetworkFaults> = {}) {
  const { clock, random } = simulate(seed)
  const fabric = new SimNetwork({ clock, random, silenceMs: 1_000 })
  const heard: string[] = []
  const text = (frame: Uint8Array): string => Buffer.from(frame).toString()
  const b = fabric.network('b')
  const serve = (network: Network) =>
    network.listen({
      onRequest: (from, frame) => {
        heard.push(`b ${text(frame)}`)
        network.answer(from, Buffer.from(`re ${text(frame)}`))
      },
      onRefused: (why) => heard.push(`refused: ${why}`),
    })
  const address = await serve(b)
  const a = fabric.network('a')
  const handlers = (name: string) => ({
    onFrame: (frame: Uint8Array) => heard.push(`${name} ${text(frame)}`),
    onUp: () => heard.push(`${name} up`),
    onDown: () => heard.push(`${name} down`),
  })
  const line = a.dial(address.requests, null, handlers('line'))
  const feed = a.subscribe(address.publications, null, handlers('feed'))
  await clock.advance(10)
  fabric.setFaults(faults)
  const take = (): string[] => heard.splice(0)
  const send = (on: Line, ...words: string[]): boolean[] => words.map((word) => on.send(Buffer.from(word)))
  return { clock, fabric, a, b, line, feed, take, send, serve, address }
}

test('a calm network brings every frame once, in order, both ways', async () => {
  const { clock, line, b, take, send } = await pair()
  expect(take().sort()).toEqual(['feed up', 'line up'])
  const words = Array.from({ length: 50 }, (_, i) => `${i}`)
  send(line, ...words)
  for (const word of words) b.publish(Buffer.from(word))
  await clock.advance(10)
  const heard = take()
  for (const [who, expected] of [
    ['b ', words],
    ['line re ', words],
    ['feed ', words],
  ] as const) {
    const frames = heard.filter((each) => each.startsWith(who)).map((each) => each.slice(who.length))
    expect(frames, who).toEqual(expected)
  }
  expect(heard).toHaveLength(150)
})

test('frames are lost, doubled and overtaken as often as they are meant to be', async () => {
  const lossy = await pair(2, { loss: 0.5 })
  lossy.take()
  lossy.send(lossy.line, ...Array.from({ length: 400 }, (_, i) => `${i}`))
  await lossy.clock.advance(5_000)
  const arrived = lossy.take().filter((each) => each.startsWith('b ')).length
  expect(arrived).toBeGreaterThan(150)
  expect(arrived).toBeLessThan(250)

  const doubled = await pair(3, { duplication: 1 })
  doubled.take()
  doubled.send(doubled.line, 'x')
  await doubled.clock.advance(5_000)
  expect(doubled.take().filter((each) => each === 'b x')).toHaveLength(2)

  const mixed = await pair(4, { reordering: 0.5 })
  mixed.take()
  const words = Array.from({ length: 100 }, (_, i) => `b ${1_000 + i}`)
  mixed.send(mixed.line, ...words.map((word) => word.slice(2)))
  await mixed.clock.advance(5_000)
  const order = mixed.take().filter((each) => each.startsWith('b '))
  expect(order).not.toEqual(words)
  expect(order.sort()).toEqual(words)
})

test('a one-way partition lets nothing through that way, is noticed by both, and heals', async () => {
  const { clock, fabric, line, b, take, send } = await pair()
  take()
  fabric.part('a', 'b')
  send(line, 'lost')
  b.publish(Buffer.from('heard'))
  await clock.advance(500)
  expect(take()).toEqual(['feed heard'])
  await clock.advance(1_000)
  expect(take().sort()).toEqual(['feed down', 'line down'])
  expect(send(line, 'no line')).toEqual([false])
  await clock.advance(10_000)
  expect(take()).toEqual([])
  fabric.heal()
  await clock.advance(1_000)
  expect(take().sort()).toEqual(['feed up', 'line up'])
  send(line, 'again')
  await clock.advance(10)
  expect(take()).toEqual(['b again', 'line re again'])
})

test('a partition that is over before anyone noticed breaks nothing', async () => {
  const { clock, fabric, line, take, send } = await pair()
  take()
  fabric.partBoth(['a'], ['b'])
  send(line, 'lost')
  await clock.advance(100)
  fabric.heal()
  await clock.advance(5_000)
  send(line, 'word')
  await clock.advance(10)
  expect(take()).toEqual(['b word', 'line re word'])
})

test('a node that dies takes its lines down; what it sent before may come; the next at its address is found', async () => {
  const { clock, fabric, line, b, take, send, serve } = await pair()
  take()
  send(line, 'one')
  b.publish(Buffer.from('last words'))
  fabric.kill('b')
  b.publish(Buffer.from('nothing'))
  await clock.advance(10)
  expect(take().filter((each) => each.endsWith('down'))).toHaveLength(2)
  await clock.advance(1_000)
  expect(take()).toEqual([])
  await serve(fabric.network('b'))
  await clock.advance(1_000)
  expect(take().sort()).toEqual(['feed up', 'line up'])
  send(line, 'two')
  await clock.advance(10)
  expect(take()).toEqual(['b two', 'line re two'])
})

test('a node that dies without a word is noticed by its silence', async () => {
  const { clock, fabric, take } = await pair()
  take()
  fabric.kill('b', { silently: true })
  await clock.advance(900)
  expect(take()).toEqual([])
  await clock.advance(200)
  expect(take().sort()).toEqual(['feed down', 'line down'])
})

test('an address is had by one node at a time; a node may return at another', async () => {
  const { clock, fabric, serve, take, a } = await pair()
  await expect(fabric.network('c', { address: 'tcp://b.sim' }).listen(silent)).rejects.toMatchObject({
    code: 'InvalidArgument',
  })
  take()
  const moved = await serve(fabric.network('b', { address: 'tcp://elsewhere' }))
  await clock.advance(1_000)
  expect(take().sort()).toEqual(['feed down', 'line down'])
  let ups = 0
  a.dial(moved.requests, null, { ...noLine, onUp: () => ups++ })
  await clock.advance(10)
  expect(ups).toBe(1)
})

test('a full queue drops frames and says so', async () => {
  const { clock, random } = simulate(1)
  const fabric = new SimNetwork({ clock, random, queueFramesMax: 10 })
  const b = fabric.network('b')
  let heard = 0
  const { requests } = await b.listen({ ...silent, onRequest: () => heard++ })
  const line = fabric.network('a').dial(requests, null, noLine)
  await clock.advance(10)
  const sent = Array.from({ length: 15 }, () => line.send(new Uint8Array(1)))
  expect(sent.filter(Boolean)).toHaveLength(10)
  await clock.advance(10)
  expect(heard).toBe(10)
})

test('who has keys lets in only those on the list', async () => {
  const { clock, random } = simulate(1)
  const fabric = new SimNetwork({ clock, random })
  const b = fabric.network('b', { publicKey: 'key of b' })
  const refused: string[] = []
  const { requests } = await b.listen({ ...silent, onRefused: (why) => refused.push(why) })
  let ups = 0
  const line = { ...noLine, onUp: () => ups++ }
  fabric.network('a', { publicKey: 'key of a' }).dial(requests, 'key of b', line)
  fabric.network('stranger', { publicKey: 'another' }).dial(requests, 'key of b', line)
  fabric.network('plain').dial(requests, null, line)
  await clock.advance(150)
  expect(ups).toBe(0)
  expect(new Set(refused).size).toBe(3)
  b.allow(new Set(['key of a']))
  await clock.advance(500)
  expect(ups).toBe(1)
})

test('the same seed brings the same frames at the same times', async () => {
  const run = async (seed: number): Promise<string> => {
    const cruel = { loss: 0.2, duplication: 0.2, reordering: 0.2, delayMsMin: 1, delayMsMax: 50 }
    const { clock, line, b, take, send } = await pair(seed, cruel)
    const seen: string[] = []
    for (let i = 0; i < 50; i++) {
      send(line, `r${i}`)
      b.publish(Buffer.from(`p${i}`))
      await clock.advance(10)
      seen.push(`${clock.monotonic()} ${take().join(',')}`)
    }
    return seen.join('\n')
  }
  expect(await run(7)).toBe(await run(7))
  expect(await run(7)).not.toBe(await run(8))
})

const silent = { onRequest: () => undefined, onRefused: () => undefined }
const noLine = { onFrame: () => undefined, onUp: () => undefined, onDown: () => undefined }

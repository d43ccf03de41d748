import { describe, expect, test } from 'vitest'
import { completeOptions, DEFAULT_CLIENT_OPTIONS } from '../../../src/client/options.js'
import type { Origin } from '../../../src/core/ids.js'
import { leaseKey } from '../../../src/core/layout.js'
import type { Link, LinkHandlers } from '../../../src/ports/transport.js'
import { pack } from '../../../src/wire/msgpack.js'
import { decodeLease, encodeLease } from '../../../src/wire/records.js'
import { withCluster } from '../../support/cluster-in-process.js'
import { thrown } from '../../support/thrown.js'

describe('options', () => {
  test('that are given as undefined have their defaults', () => {
    const given = Object.fromEntries(Object.keys(DEFAULT_CLIENT_OPTIONS).map((name) => [name, undefined]))
    expect(completeOptions(given)).toEqual(DEFAULT_CLIENT_OPTIONS)
    expect(completeOptions({ retryDelayMs: 0, spillBytes: 7 })).toMatchObject({
      retryDelayMs: 0,
      spillBytes: 7,
    })
  })

  test.each([
    { requestTimeoutMs: Number.NaN },
    { requestTimeoutMs: 0 },
    { attemptsMax: -1 },
    { spillBytes: '7' },
    { view: 'on' },
  ])('%o is refused', (options) => {
    expect(() => completeOptions(options as never)).toThrow(
      expect.objectContaining({ code: 'InvalidArgument' }),
    )
  })
})

const MIB = 1024 * 1024

/** A node that answers whatever it hears with one frame. */
function nodeOf(frame: Uint8Array): Link & { readonly heard: number; drop(): void } {
  let handlers: LinkHandlers | undefined
  let heard = 0
  return {
    get heard() {
      return heard
    },
    open: (given) => {
      handlers = given
      queueMicrotask(() => given.onUp())
    },
    send: () => {
      heard++
      queueMicrotask(() => handlers?.onFrame(frame))
      return true
    },
    close: async () => undefined,
    drop: () => handlers?.onDown(),
  }
}

test('a node of another version: its client is told so at once, and does not go on greeting it', async () => {
  await withCluster(async (cluster) => {
    const link = nodeOf(pack([99, [64, 1]]))
    const virga = cluster.client({}, link)
    const began = cluster.clock.monotonic()
    expect(await cluster.until(thrown(virga.up()))).toMatchObject({ code: 'UnsupportedVersion' })
    expect(await cluster.until(thrown(virga.begin()))).toMatchObject({ code: 'UnsupportedVersion' })
    expect(cluster.clock.monotonic() - began).toBeLessThan(100)
    await cluster.clock.advance(60_000)
    expect(link.heard).toBe(1)
    // It is gone: the next one may be of this version.
    link.drop()
    expect(await cluster.until(thrown(virga.begin()))).toMatchObject({ code: 'NodeUnavailable' })
  })
})

test('many commits with large results at once go in several frames, each as large as may be', async () => {
  await withCluster(async (cluster) => {
    await cluster.boot()
    const link = cluster.hub.link()
    const sizes: number[] = []
    const virga = cluster.client(
      {},
      {
        open: (handlers) => link.open(handlers),
        send: (frame) => {
          sizes.push(frame.length)
          return link.send(frame)
        },
        close: () => link.close(),
      },
    )
    const all = await Promise.all(Array.from({ length: 80 }, () => cluster.until(virga.begin())))
    for (const [i, tx] of all.entries()) tx.put(`key${i}`, i)
    const result = 'x'.repeat(250_000)
    await cluster.until(Promise.all(all.map((tx) => tx.commit({ result }))))
    expect(Math.max(...sizes)).toBeLessThan(2 * 1024 * 1024)
  })
})

test('what fits into a frame is not refused for what it might take; what does not fit is, and breaks nothing', async () => {
  await withCluster(async (cluster) => {
    await cluster.boot()
    const virga = cluster.client({ spillBytes: 4 * MIB })
    const large = 'x'.repeat(15 * MIB)
    const long = 'k'.repeat(900)
    await cluster.until(
      virga.transaction((tx) => {
        for (let i = 0; i < 2_000; i++) tx.put(`${long}${i}`, 1)
        tx.put('large', large)
      }),
    )
    expect(await cluster.until(virga.get('large'))).toBe(large)
    const patient = cluster.client({ spillBytes: 64 * MIB })
    const failed = patient.transaction((tx) => {
      tx.put('one', large)
      tx.put('other', large)
    })
    expect(await cluster.until(thrown(failed))).toMatchObject({ code: 'LimitExceeded', outcome: 'definite' })
    expect(await cluster.until(patient.get('one'))).toBeUndefined()
    expect(cluster.count('sessionsOpened')).toBe(2)
  })
})

test('a resume that is refused for now keeps no place at the node, however often it is asked for', async () => {
  await withCluster(async (cluster) => {
    await cluster.boot()
    const virga = cluster.client()
    const { context } = await cluster.until(virga.step(undefined, (tx) => tx.put('a', 'x'.repeat(100_000))))
    const { origin } = cluster.node
    await cluster.crash()
    // It lives, as its lease has it, and can't be reached.
    const [lease] = await cluster.until(cluster.storage.get([leaseKey('n1')]))
    await cluster.boot()
    const own = decodeLease(lease!)
    const ghost = encodeLease({ ...own, origin: origin as Origin, address: undefined, ttlMs: 600_000 })
    await cluster.until(cluster.storage.put([{ ...leaseKey('ghost'), value: ghost }]))
    await cluster.clock.advance(3_000)
    for (let i = 0; i < 3; i++) {
      const refused = async (): Promise<void> => {
        const tx = await virga.resume([context, context])
        await tx.get('a')
      }
      expect(await cluster.until(thrown(refused()))).toMatchObject({ code: 'NodeUnavailable' })
    }
    await cluster.clock.advance(1_000)
    expect(cluster.count('transactionsOpen')).toBe(0)
  })
})

test('a client that has as much under way as may be leaves nothing open when it closes', async () => {
  await withCluster(async (cluster) => {
    await cluster.boot({ requestsPerSessionMax: 4 })
    const virga = cluster.client()
    await cluster.until(virga.begin())
    const held = Array.from({ length: 4 }, () => cluster.storage.faults.hold('get'))
    const waiting = held.map((_, i) => thrown(virga.status(idOf(i))))
    for (const { reached } of held) await cluster.until(reached)
    const closing = Promise.all([virga.close(), virga.close()])
    await cluster.clock.advance(10)
    expect(cluster.count('sessions')).toBe(0)
    for (const each of held) each.release()
    await cluster.until(closing)
    await cluster.until(Promise.all(waiting))
    expect(cluster.count('transactionsOpen')).toBe(0)
    expect(cluster.count('sessionsOpened')).toBe(1)
  })
})

const idOf = (n: number): string => `019b76d9-8612-74a4-9d74-7c9eb8b6e5f${n}`

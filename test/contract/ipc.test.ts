import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, lstatSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { assertFrame, bytes, texts, upTo } from '../../src/testing/network-suite/kit.js'
import { start } from '../support/cli.js'
import {
  acquainted,
  DEAF,
  echoing,
  KIB,
  LONG_MS,
  linked,
  listening,
  MIB,
  makeListener,
  opened,
  patterned,
  RawPeer,
  SIZES,
  sendAll,
} from '../support/ipc.js'
import { tempFolder } from '../support/temp.js'
import { thrown } from '../support/thrown.js'
import { until } from '../support/until.js'

/** Executor and node over real sockets, both ends our own. What others say to them: ipc-libzmq.test.ts, ipc-faults.test.ts. */

const scriptOf = (name: string): string => new URL(`../support/${name}`, import.meta.url).pathname

function expectFrames(actual: readonly Uint8Array[], expected: readonly Uint8Array[]): void {
  expect(actual.length).toBe(expected.length)
  for (const [n, frame] of expected.entries()) assertFrame(actual[n], frame)
}

function numbered(count: number): Uint8Array[] {
  return upTo(count).map((n) => bytes(`${n}`))
}

async function manyTurns(): Promise<void> {
  for (const _ of upTo(200)) await new Promise((resolve) => setImmediate(resolve))
}

describe('frames', () => {
  test('of all sizes arrive both ways, in order and whole', async () => {
    const node = await echoing()
    const { link, log } = await linked(node.path)
    const frames = [...SIZES, ...SIZES.toReversed()].map((size, n) => patterned(size, n))
    await sendAll(frames, (frame) => link.send(frame))
    await until('all came back', () => log.frames.length === frames.length, LONG_MS)
    expectFrames(
      node.heard.map(({ frame }) => frame),
      frames,
    )
    expectFrames(log.frames, frames)
    expect(node.peers.length).toBe(1)
    expect(log.turns).toEqual(['up'])
  })

  test('are all told before it is told that their sender is gone, which is told once', async () => {
    const order: string[] = []
    const path = join(tempFolder(), 's')
    const listener = makeListener({ path })
    await listener.listen({
      onFrame: (peer, frame) => {
        // Each takes so long that they are told in many turns.
        const untilMs = performance.now() + 0.2
        while (performance.now() < untilMs);
        order.push(`${peer} ${texts([frame])[0]}`)
      },
      onGone: (peer) => void order.push(`${peer} gone`),
    })
    const { link } = await linked(path)
    const frames = numbered(200)
    await sendAll(frames, (frame) => link.send(frame))
    await link.close()
    await until('gone', () => order.at(-1) === 'c1 gone')
    expect(order).toEqual([...upTo(200).map((n) => `c1 ${n}`), 'c1 gone'])
  })

  test('arrive in order, 10,000 small ones each way at once', async () => {
    const count = 10_000
    const node = await listening()
    const { link, log, peer } = await acquainted(node)
    await Promise.all([
      sendAll(numbered(count), (frame) => link.send(frame)),
      sendAll(numbered(count), (frame) => node.listener.send(peer, frame)),
    ])
    await until('all arrive', () => node.heard.length === count + 1 && log.frames.length === count)
    const expected = upTo(count).map(String)
    expect(texts(log.frames)).toEqual(expected)
    expect(texts(node.heard.slice(1).map(({ frame }) => frame))).toEqual(expected)
  })

  test('of many links at once each go to whom they are for', async () => {
    const node = await echoing()
    const links = await Promise.all(upTo(100).map(() => linked(node.path)))
    const framesOf = (n: number): Uint8Array[] => upTo(50).map((m) => patterned(m * 400, n))
    await Promise.all(links.map(({ link }, n) => sendAll(framesOf(n), (frame) => link.send(frame))))
    await until('all came back', () => links.every(({ log }) => log.frames.length === 50))
    expect(node.peers.length).toBe(100)
    for (const [n, { log }] of links.entries()) expectFrames(log.frames, framesOf(n))
  })

  test('that are sent as soon as a link is up arrive', async () => {
    const node = await echoing()
    const { link, log } = opened(node.path)
    log.onUp = () => void link.send(bytes('at once'))
    await until('an answer', () => log.frames.length === 1)
    expect(texts(log.frames)).toEqual(['at once'])
  })

  test('are not taken for those who are not there', async () => {
    const node = await listening()
    expect(node.listener.send('nobody', bytes('hello?'))).toBe(false)
    const { link, log, peer } = await acquainted(node)
    expect(node.listener.send(peer, bytes('hello'))).toBe(true)
    await until('it arrives', () => log.frames.length === 1)
    await link.close()
    expect(link.send(bytes('too late'))).toBe(false)
    await until('the peer is gone', () => !node.listener.send(peer, bytes('hello?')))
  })

  test('of a link that was made again come from another peer', async () => {
    const node = await listening()
    const first = await acquainted(node)
    await first.link.close()
    const second = await acquainted(node)
    expect(second.peer).not.toBe(first.peer)
  })
})

describe('a node that goes away', () => {
  test('is noticed, and so is the next one there; nothing is kept for it', async () => {
    const first = await echoing()
    const { link, log } = await linked(first.path)
    await first.listener.close()
    await until('the link is down', () => !log.isUp)
    expect(link.send(bytes('for whom?'))).toBe(false)
    const second = await echoing({ path: first.path })
    await until('the link is up again', () => log.isUp)
    expect(link.send(bytes('hello'))).toBe(true)
    await until('an answer', () => log.frames.length === 1)
    expect(texts(second.heard.map(({ frame }) => frame))).toEqual(['hello'])
    expect(log.turns).toEqual(['up', 'down', 'up'])
  })

  test('is waited for by links that came before it', async () => {
    const path = join(tempFolder(), 's')
    const links = upTo(10).map(() => opened(path))
    for (const { link } of links) expect(link.send(bytes('is anyone there?'))).toBe(false)
    const node = await echoing({ path })
    await until('all are up', () => links.every(({ log }) => log.isUp))
    for (const { log } of links) expect(log.turns).toEqual(['up'])
    expect(node.heard).toEqual([])
  })
})

describe('the socket file', () => {
  test('is for its user alone, whatever the mask of the process', async () => {
    const before = process.umask(0)
    onTestFinished(() => void process.umask(before))
    const { path } = await listening()
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(process.umask()).toBe(0)
  })

  test('is gone when the listener has closed', async () => {
    const folder = tempFolder()
    const { listener } = await listening({ path: join(folder, 's') })
    await linked(join(folder, 's'))
    expect(readdirSync(folder)).toEqual(['s'])
    await Promise.all([listener.close(), listener.close()])
    await listener.close()
    expect(readdirSync(folder)).toEqual([])
  })

  test('of a process that was killed is replaced, and links find who is there now', async () => {
    const path = join(tempFolder(), 's')
    const { child, ended, stdout } = start(scriptOf('ipc-listener.mjs'), [path])
    await until('it listens', () => stdout().includes('listening'))
    const { link, log } = await linked(path)
    link.send(bytes('first'))
    await until('an answer', () => log.frames.length === 1)
    child.kill('SIGKILL')
    await ended
    await until('the link is down', () => !log.isUp)
    expect(lstatSync(path).isSocket()).toBe(true)
    await echoing({ path })
    await until('the link is up again', () => log.isUp)
    link.send(bytes('second'))
    await until('an answer', () => log.frames.length === 2)
    expect(texts(log.frames)).toEqual(['first', 'second'])
  })

  test('lets in again who comes once others have left, after as many had come as it may have files open', async () => {
    const path = join(tempFolder(), 's')
    const { child, stdout } = start(scriptOf('ipc-listener.mjs'), [path])
    await until('it listens', () => stdout().includes('listening'))
    const { link, log } = await linked(path)
    execFileSync('prlimit', [`--pid=${child.pid}`, '--nofile=64:64'])
    const crowd = await Promise.all(upTo(100).map(() => RawPeer.connect(path)))
    await until('some were turned away', () => crowd.some((peer) => peer.isClosed))
    expect(crowd.some((peer) => !peer.isClosed)).toBe(true)
    link.send(bytes('in before'))
    await until('an answer', () => log.frames.length === 1)
    for (const { socket } of crowd) socket.destroy()
    const later = await linked(path)
    later.link.send(bytes('in after'))
    await until('an answer', () => later.log.frames.length === 1)
    expect(log.turns).toEqual(['up'])
    expect(child.exitCode).toBe(null)
  })

  test('has no place where a file of that name is, which stays as it is', async () => {
    const path = join(tempFolder(), 's')
    writeFileSync(path, 'precious')
    chmodSync(path, 0o640)
    const listener = makeListener({ path })
    const error = await thrown(listener.listen(DEAF))
    expect(error).toMatchObject({ code: 'InvalidArgument', message: expect.stringContaining(path) })
    await listener.close()
    expect(readFileSync(path, 'utf8')).toBe('precious')
    expect(statSync(path).mode & 0o777).toBe(0o640)
  })

  test('has no place where a folder of that name is', async () => {
    const path = tempFolder()
    expect((await thrown(makeListener({ path }).listen(DEAF))).code).toBe('InvalidArgument')
    expect(statSync(path).isDirectory()).toBe(true)
  })

  test('has no place in a folder that does not exist', async () => {
    const path = join(tempFolder(), 'missing', 's')
    const error = await thrown(makeListener({ path }).listen(DEAF))
    expect(error).toMatchObject({ code: 'InvalidArgument', message: expect.stringContaining(path) })
    expect(existsSync(join(path, '..'))).toBe(false)
  })
})

describe('a listener that closes', () => {
  test('delivers what it sent before', async () => {
    const node = await listening()
    const { log, peer } = await acquainted(node)
    const frames = upTo(200).map((n) => patterned(16 * KIB, n))
    for (const frame of frames) expect(node.listener.send(peer, frame)).toBe(true)
    await node.listener.close()
    await until('the link is down', () => !log.isUp)
    expectFrames(log.frames, frames)
  })

  test('delivers what it sent before to a link that goes on asking', async () => {
    const node = await listening()
    const { link, log, peer } = await acquainted(node)
    const frames = upTo(200).map((n) => patterned(16 * KIB, n))
    let isAsking = true
    const ask = (): void => {
      for (const _ of upTo(10)) link.send(bytes('and this?'))
      if (isAsking) setImmediate(ask)
    }
    ask()
    for (const frame of frames) expect(node.listener.send(peer, frame)).toBe(true)
    await node.listener.close()
    await until('the link is down', () => !log.isUp)
    isAsking = false
    expectFrames(log.frames, frames)
  })

  test('does not wait for ever for who reads nothing', async () => {
    const node = await listening()
    const raw = await RawPeer.ready(node.path)
    raw.say(Buffer.from([0, 1, 65]))
    await until('it is heard', () => node.heard.length === 1)
    raw.socket.pause()
    expect(node.listener.send(node.peers[0]!, new Uint8Array(16 * MIB))).toBe(true)
    await node.listener.close()
    expect(existsSync(node.path)).toBe(false)
  })

  test('does not wait for who has yet to say what it is', async () => {
    const node = await listening()
    const silent = await Promise.all(upTo(10).map(() => RawPeer.connect(node.path)))
    await until('all are let in', () => silent.every(({ received }) => received.length === 64))
    await node.listener.close()
    for (const raw of silent) await raw.closed()
  })

  test('lets nobody in any more, and takes no more to send', async () => {
    const node = await listening()
    const { log, peer } = await acquainted(node)
    await node.listener.close()
    expect(node.listener.send(peer, bytes('too late'))).toBe(false)
    await until('the link is down', () => !log.isUp)
    await expect(RawPeer.connect(node.path)).rejects.toThrow()
  })

  test('delivers what it sent before, though it is asked to send more', async () => {
    const node = await listening()
    const { log, peer } = await acquainted(node)
    const frames = upTo(100).map((n) => patterned(16 * KIB, n))
    for (const frame of frames) expect(node.listener.send(peer, frame)).toBe(true)
    let isClosed = false
    let late = 0
    const sendMore = (): void => {
      if (isClosed) return
      if (node.listener.send(peer, bytes('late'))) late++
      setImmediate(sendMore)
    }
    const closed = node.listener.close()
    sendMore()
    await closed
    isClosed = true
    await until('the link is down', () => !log.isUp)
    expectFrames(log.frames.slice(0, frames.length), frames)
    expect(log.frames.length).toBeLessThanOrEqual(frames.length + late)
  })

  test('tells nothing any more once it has', async () => {
    const ballast = patterned(MIB)
    const node = await listening({ onFrame: () => void ballast.indexOf('not in there') })
    const { link } = await linked(node.path)
    for (const frame of numbered(2_000)) expect(link.send(frame)).toBe(true)
    await until('some are heard', () => node.heard.length > 0)
    await node.listener.close()
    const heard = node.heard.length
    await manyTurns()
    expect(node.heard.length).toBe(heard)
  })

  test('has nothing to do if it never listened', async () => {
    await makeListener().close()
  })
})

describe('a link that closes', () => {
  const FRAMES = 4_000
  /** How much of work of this kind this machine does in that time. */
  const bytesHashedIn = (ms: number): number => {
    const sample = patterned(4 * 1024 * KIB)
    const startedAt = performance.now()
    createHash('sha256').update(sample).digest()
    return Math.floor((sample.length * ms) / (performance.now() - startedAt))
  }

  test('delivers what it sent before', async () => {
    const node = await listening()
    const { link, log } = await linked(node.path)
    const frames = upTo(200).map((n) => patterned(16 * KIB, n))
    for (const frame of frames) expect(link.send(frame)).toBe(true)
    await Promise.all([link.close(), link.close()])
    await until('all arrive', () => node.heard.length === frames.length)
    expectFrames(
      node.heard.map(({ frame }) => frame),
      frames,
    )
    expect(log.turns.filter((turn) => turn === 'up').length).toBe(1)
  })

  test('delivers what it sent before, though each frame takes work and is answered', async () => {
    // A fifth of a second of it in all: what a link flushes for before it gives up is a second.
    const ballast = patterned(Math.min(64, bytesHashedIn(200 / FRAMES) / KIB) * KIB)
    const node = await listening({
      onFrame(peer, frame, listener) {
        createHash('sha256').update(ballast).digest()
        listener.send(peer, frame)
      },
    })
    const { link } = await linked(node.path)
    const frames = upTo(FRAMES).map((n) => patterned(200, n))
    for (const frame of frames) expect(link.send(frame)).toBe(true)
    await link.close()
    await until('all arrive', () => node.heard.length === frames.length)
    expectFrames(
      node.heard.map(({ frame }) => frame),
      frames,
    )
  })

  test('tells nothing any more once it has', async () => {
    const node = await listening()
    const ballast = patterned(MIB)
    const { link, log } = await linked(node.path, () => void ballast.indexOf('not in there'))
    link.send(bytes('hello'))
    await until('it is heard', () => node.heard.length === 1)
    for (const frame of numbered(1_000)) node.listener.send(node.peers[0]!, frame)
    await until('some are heard', () => log.frames.length > 0)
    await link.close()
    const heard = log.frames.length
    await manyTurns()
    expect(log.frames.length).toBe(heard)
  })

  test('does not wait for ever for a node that reads nothing', async () => {
    const path = join(tempFolder(), 's')
    const { child, stdout } = start(scriptOf('ipc-listener.mjs'), [path])
    await until('it listens', () => stdout().includes('listening'))
    const { link } = await linked(path)
    child.kill('SIGSTOP')
    for (const n of upTo(10)) link.send(patterned(MIB, n))
    await link.close()
    expect(link.send(bytes('too late'))).toBe(false)
  })

  test('has nothing to wait for if it never had a node', async () => {
    const { link, log } = opened(join(tempFolder(), 's'))
    await link.close()
    expect(log.turns).toEqual([])
  })

  test('stays closed, though a node comes', async () => {
    const path = join(tempFolder(), 's')
    const { link, log } = opened(path)
    await link.close()
    const node = await echoing({ path })
    const other = await linked(path)
    other.link.send(bytes('hello'))
    await until('an answer to another', () => other.log.frames.length === 1)
    expect(node.peers.length).toBe(1)
    expect(log.turns).toEqual([])
  })

  test('leaves no file descriptor behind, and no more does its node', async () => {
    const open = (): number => readdirSync('/proc/self/fd').length
    const round = async (): Promise<void> => {
      const node = await echoing()
      const links = await Promise.all(upTo(10).map(() => linked(node.path)))
      const early = upTo(10).map(() => opened(node.path))
      for (const { link } of links) link.send(bytes('hello'))
      await Promise.all([...links, ...early].slice(5).map(({ link }) => link.close()))
      await node.listener.close()
      await Promise.all(links.map(({ link }) => link.close()))
    }
    await round()
    const before = open()
    for (const _ of upTo(5)) await round()
    await until('all are closed', () => open() <= before)
  })
})

describe('the process of a link', () => {
  const count = (text: string, word: string): number =>
    text.split('\n').filter((line) => line === word).length

  test('goes on while there is no node, and ends once the link has closed', async () => {
    const path = join(tempFolder(), 's')
    const { ended, stdout, stderr } = start(scriptOf('ipc-link.mjs'), [path])
    await until('it tries again and again', () => count(stdout(), 'again') >= 5)
    const node = await listening({ path })
    await until('it is up', () => count(stdout(), 'up') === 1)
    await node.listener.close()
    await until('it is down', () => count(stdout(), 'down') === 1)
    const tried = count(stdout(), 'again')
    await until('it tries again and again', () => count(stdout(), 'again') >= tried + 5)
    const next = await listening({ path })
    await until('it is up again', () => count(stdout(), 'up') === 2)
    await until('it is heard', () => next.peers.length === 1)
    expect(next.listener.send(next.peers[0]!, bytes('close'))).toBe(true)
    expect(await ended).toMatchObject({ code: 0, signal: null })
    expect(count(stdout(), 'closed')).toBe(1)
    expect(stderr()).toBe('')
  })

  test('ends once the link has closed, though there never was a node', async () => {
    const { ended, stdout, stderr } = start(scriptOf('ipc-link.mjs'), [join(tempFolder(), 's'), '3'])
    expect(await ended).toMatchObject({ code: 0, signal: null })
    expect(stdout().trim().split('\n')).toEqual(['again', 'again', 'again', 'closed'])
    expect(stderr()).toBe('')
  })
})

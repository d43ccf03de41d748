/** Both ends of IPC, and others that speak to them, for tests. All of them end with the test that made them. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { systemClock } from '../../src/platform/clock.js'
import type { Clock } from '../../src/ports/clock.js'
import type { Link, Listener, ListenerHandlers, PeerId } from '../../src/ports/transport.js'
import { type LineLog, logging } from '../../src/testing/network-suite/kit.js'
import { zmtpLink } from '../../src/transport/zmtp-link.js'
import { type ZmtpListenerOptions, zmtpListener } from '../../src/transport/zmtp-listener.js'
import { tempFolder } from './temp.js'
import { until } from './until.js'
import { ZmtpParser } from './zmtp.js'
import { greetingOf, readyOf } from './zmtp-bytes.js'

export const KIB = 1_024
export const MIB = 1_024 * KIB
export const FRAME_BYTES_MAX = 18 * MIB
/** Around the bounds of what is written in another way. */
export const SIZES: readonly number[] = [0, 1, 255, 256, 16 * KIB, 16 * KIB + 1, MIB, 17 * MIB]
/** Of many megabytes, on a machine that has other things to do. */
export const LONG_MS = 30_000

/** Every byte tells where it stands, and whose it is. */
export function patterned(bytes: number, of = 0): Buffer {
  return Buffer.alloc(bytes, Buffer.from(Array.from({ length: 251 }, (_, n) => (n * 7 + bytes + of) % 256)))
}

export interface TestListener {
  readonly path: string
  readonly listener: Listener
  readonly heard: { readonly peer: PeerId; readonly frame: Uint8Array }[]
  /** In the order in which each was first heard. */
  readonly peers: readonly PeerId[]
  /** Whose connections have ended. */
  readonly gone: readonly PeerId[]
}

export const DEAF: ListenerHandlers = { onFrame: () => undefined, onGone: () => undefined }

export interface TestListenerOptions extends Partial<ZmtpListenerOptions> {
  readonly onFrame?: (peer: PeerId, frame: Uint8Array, listener: Listener) => void
}

export function makeListener(options: Partial<ZmtpListenerOptions> = {}): Listener {
  const path = options.path ?? join(tempFolder(), 's')
  const listener = zmtpListener({
    clock: systemClock(),
    frameBytesMax: FRAME_BYTES_MAX,
    ...options,
    path,
  })
  onTestFinished(() => listener.close())
  return listener
}

export async function listening({ onFrame, ...options }: TestListenerOptions = {}): Promise<TestListener> {
  const path = options.path ?? join(tempFolder(), 's')
  const listener = makeListener({ ...options, path })
  const heard: { peer: PeerId; frame: Uint8Array }[] = []
  const peers = new Set<PeerId>()
  const gone: PeerId[] = []
  await listener.listen({
    onFrame: (peer, frame) => {
      heard.push({ peer, frame })
      peers.add(peer)
      onFrame?.(peer, frame, listener)
    },
    onGone: (peer) => void gone.push(peer),
  })
  return {
    path,
    listener,
    heard,
    gone,
    get peers() {
      return [...peers]
    },
  }
}

/** Answers each frame with the same. */
export function echoing(options: Partial<ZmtpListenerOptions> = {}): Promise<TestListener> {
  return listening({ ...options, onFrame: (peer, frame, listener) => void listener.send(peer, frame) })
}

export interface TestLink {
  readonly link: Link
  readonly log: LineLog
}

export function opened(path: string, onFrame?: (frame: Uint8Array) => void): TestLink {
  const link = zmtpLink({ path, frameBytesMax: FRAME_BYTES_MAX, clock: systemClock() })
  const log = logging(onFrame)
  onTestFinished(() => link.close())
  link.open(log)
  return { link, log }
}

export async function linked(path: string, onFrame?: (frame: Uint8Array) => void): Promise<TestLink> {
  const made = opened(path, onFrame)
  await until('the link is up', () => made.log.isUp)
  return made
}

/** A link that has said something, and who it is at the listener. */
export async function acquainted(to: TestListener): Promise<TestLink & { readonly peer: PeerId }> {
  const made = await linked(to.path)
  const before = to.heard.length
  made.link.send(patterned(1))
  await until('it is heard', () => to.heard.length > before)
  return { ...made, peer: to.heard[before]!.peer }
}

/** Sends all, at the pace of who takes them. */
export async function sendAll(
  frames: Iterable<Uint8Array>,
  send: (frame: Uint8Array) => boolean,
): Promise<void> {
  for (const frame of frames) if (!send(frame)) await until('there is room', () => send(frame), LONG_MS)
}

/** A link that asks and is answered, one after the other. `stop` waits for further answers, and throws if anything went wrong. */
export async function undisturbed(path: string): Promise<{ stop(): Promise<void> }> {
  let rounds = 0
  let wrong = 0
  let isStopped = false
  const ask = (): void => {
    if (isStopped) return
    const frame = Buffer.alloc(4)
    frame.writeUInt32BE(rounds)
    if (!link.send(frame)) wrong++
  }
  const { link, log } = await linked(path, (frame) => {
    if (Buffer.from(frame).readUInt32BE() !== rounds) wrong++
    rounds++
    log.frames.length = 0
    // Not at once, so that others have their turn.
    setTimeout(ask, 1)
  })
  ask()
  await until('an answer', () => rounds > 0)
  return {
    async stop() {
      const before = rounds
      await until('it goes on', () => rounds > before + 1)
      isStopped = true
      if (wrong > 0 || log.turns.length !== 1) throw new Error(`${wrong} went wrong, and it was ${log.turns}`)
    },
  }
}

/** Time-outs of many seconds end when the test says so. */
export class PatientClock implements Clock {
  readonly #clock = systemClock()
  readonly #waiting = new Set<() => void>()

  now = this.#clock.now
  precise = this.#clock.precise
  monotonic = this.#clock.monotonic
  soon = this.#clock.soon
  defer = this.#clock.defer

  timer(
    delayMs: number,
    run: () => void,
    options?: { readonly keepsAlive: boolean },
  ): { readonly cancel: () => void } {
    if (delayMs < 10_000) return this.#clock.timer(delayMs, run, options)
    this.#waiting.add(run)
    return { cancel: () => void this.#waiting.delete(run) }
  }

  get waiting(): number {
    return this.#waiting.size
  }

  elapse(): void {
    for (const run of [...this.#waiting]) if (this.#waiting.delete(run)) run()
  }
}

/** Says any bytes, and notes what comes back. */
export class RawPeer {
  readonly socket: Socket
  #received: Buffer[] = []
  #isClosed = false

  static async connect(path: string): Promise<RawPeer> {
    const socket = connect(path)
    await once(socket, 'connect')
    return new RawPeer(socket)
  }

  /** One that has said what it is, and was told so. */
  static async ready(path: string, type = 'DEALER'): Promise<RawPeer> {
    const peer = await RawPeer.connect(path)
    peer.say(greetingOf(), readyOf(type))
    await until('both are ready', () => peer.received.length >= 64 + 43)
    return peer
  }

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (bytes) => this.#received.push(bytes))
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.#isClosed = true
    })
    onTestFinished(() => void socket.destroy())
  }

  get received(): Buffer {
    const all = Buffer.concat(this.#received)
    this.#received = [all]
    return all
  }

  /** The frames that came, each with its header. */
  get frames(): Buffer[] {
    return new ZmtpParser()
      .push(this.received)
      .filter(({ isMessage }) => isMessage)
      .map(({ bytes }) => bytes)
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  say(...bytes: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(bytes))
  }

  async closed(): Promise<void> {
    await until('it is closed', () => this.#isClosed)
  }
}

/** Stands between two sockets, and counts the commands that pass. */
export class Tap {
  readonly path: string
  readonly #counts = new Map<string, number>()
  connections = 0

  static async to(target: string): Promise<Tap> {
    const sockets = new Set<Socket>()
    const path = join(tempFolder(), 'tap')
    const server = createServer((near) => {
      tap.connections++
      const far = connect(target)
      for (const [from, to, side] of [
        [near, far, 'near'],
        [far, near, 'far'],
      ] as const) {
        const parser = new ZmtpParser()
        sockets.add(from)
        from.on('data', (bytes) => {
          to.write(bytes)
          for (const each of parser.push(bytes)) if (!each.isMessage) tap.#count(side, each.bytes)
        })
        from.on('error', () => undefined)
        from.on('close', () => {
          sockets.delete(from)
          to.destroy()
        })
      }
    })
    server.listen(path)
    await once(server, 'listening')
    const tap = new Tap(path)
    onTestFinished(() => {
      server.close()
      for (const socket of sockets) socket.destroy()
    })
    return tap
  }

  private constructor(path: string) {
    this.path = path
  }

  /** Of who connected (`near`), or of whom it is connected to. */
  commands(side: 'near' | 'far', name: string): number {
    return this.#counts.get(`${side} ${name}`) ?? 0
  }

  #count(side: string, bytes: Buffer): void {
    const isLong = (bytes[0]! & 2) !== 0
    const body = bytes.subarray(isLong ? 9 : 2)
    const key = `${side} ${body.toString('latin1', 1, 1 + (body[0] ?? 0))}`
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
  }
}

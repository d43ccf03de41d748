import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { Dealer } from 'zeromq'
import type { ClusterNode } from './cluster-processes.js'
import { decode } from './messagepack.mjs'
import { until } from './until.js'

export interface CurveKeys {
  readonly curvePublicKey: string
  readonly curveSecretKey: string
  readonly curveServerKey: string
}

/** Where a node takes requests of others: host and port. */
export async function requestsOf(
  node: ClusterNode,
): Promise<{ readonly host: string; readonly port: number }> {
  const { address } = await node.inspect()
  const [, host, port] = /^tcp:\/\/(.+):(\d+)$/.exec(String(address))!
  return { host: host!, port: Number(port) }
}

/** A ZeroMQ socket of the running test at a node's port for other nodes: sends any bytes, notes what comes back. */
export class HostilePeer {
  readonly #socket: Dealer
  readonly #answers = new Map<number, number>()
  #frames = 0

  static async of(node: ClusterNode, keys?: CurveKeys): Promise<HostilePeer> {
    const { host, port } = await requestsOf(node)
    return new HostilePeer(`tcp://${host}:${port}`, keys)
  }

  private constructor(address: string, keys: CurveKeys | undefined) {
    this.#socket = new Dealer({ linger: 0, sendHighWaterMark: 64, sendTimeout: 5_000, ...keys })
    this.#socket.connect(address)
    void this.#read()
    onTestFinished(() => this.#socket.close())
  }

  send(...parts: readonly Uint8Array[]): Promise<void> {
    return this.#socket.send(parts.map((part) => Buffer.from(part)))
  }

  get frames(): number {
    return this.#frames
  }

  /** How many messages of a type came back. */
  answers(type: number): number {
    return this.#answers.get(type) ?? 0
  }

  async heard(type: number, count: number): Promise<void> {
    await until(`${count} answers of type ${type}`, () => this.answers(type) >= count, 20_000)
  }

  async #read(): Promise<void> {
    for await (const [frame] of this.#socket) {
      this.#frames++
      const [, ...messages] = decode(frame!) as [number, ...[number, number][]]
      for (const [type] of messages) this.#answers.set(type, this.answers(type) + 1)
    }
  }
}

/** Bytes, as they are, to a port of a node, over TCP. Resolves when they are sent; the connection stays open. */
export async function rawBytes(host: string, port: number, bytes: Uint8Array): Promise<Socket> {
  const socket = connect(port, host)
  socket.on('error', () => undefined)
  // What is not read keeps the end of the connection from being seen.
  socket.resume()
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  await new Promise<void>((resolve) => socket.write(bytes, () => resolve()))
  return socket
}

/** What a ZMTP 3.1 peer without a key says first. */
export const GREETING = Buffer.concat([
  Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1]),
  Buffer.from('NULL'.padEnd(20, '\0')),
  Buffer.alloc(32),
])

export function noise(bytes: number): Buffer {
  return randomBytes(bytes)
}

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/**
 * `open`: bytes go both ways. `deaf`: requests arrive, answers are lost. `silent`: nothing arrives, connections stay open.
 * `cut`: connections break, and no new one is made.
 */
export type ProxyMode = 'open' | 'deaf' | 'silent' | 'cut'

/** What becomes of the bytes of one connection on their way, in one direction. */
export type Filter = (bytes: Buffer) => Buffer

export interface ProxyOptions {
  /** Where it listens. Default: any free port of 127.0.0.1. */
  readonly host?: string
  readonly port?: number
  /** Made anew for each connection. Default: bytes arrive as they are. */
  readonly filters?: () => { readonly toServer: Filter; readonly toClient: Filter }
}

const AS_IS: Filter = (bytes) => bytes

/** A network between a client and a server of this machine that a test can break. */
export class TcpProxy {
  readonly port: number
  /** Bytes take this long from one side to the other. */
  delayMs = 0
  #mode: ProxyMode = 'open'
  readonly #sockets: Set<Socket>
  readonly #filters: NonNullable<ProxyOptions['filters']>

  static async start(targetPort: number, options: ProxyOptions = {}): Promise<TcpProxy> {
    const sockets = new Set<Socket>()
    const server = createServer({ allowHalfOpen: false, noDelay: true }, (client) =>
      proxy.#accept(client, targetPort),
    )
    server.listen(options.port ?? 0, options.host ?? '127.0.0.1')
    await once(server, 'listening')
    const filters = options.filters ?? (() => ({ toServer: AS_IS, toClient: AS_IS }))
    const proxy = new TcpProxy((server.address() as AddressInfo).port, sockets, filters)
    onTestFinished(() => {
      proxy.set('cut')
      server.close()
    })
    return proxy
  }

  private constructor(port: number, sockets: Set<Socket>, filters: NonNullable<ProxyOptions['filters']>) {
    this.port = port
    this.#sockets = sockets
    this.#filters = filters
  }

  /** What was lost in one mode does not come back in another: its connections break when the mode is left. */
  set(mode: ProxyMode): void {
    const breaks = mode === 'cut' || this.#mode === 'deaf' || this.#mode === 'silent'
    this.#mode = mode
    if (breaks) this.breakAll()
  }

  /** Breaks every connection. New ones can be made, unless the mode is `cut`. */
  breakAll(): void {
    for (const socket of [...this.#sockets]) socket.destroy()
  }

  #accept(client: Socket, targetPort: number): void {
    if (this.#mode === 'cut') {
      client.destroy()
      return
    }
    const server = connect({ port: targetPort, host: '127.0.0.1', noDelay: true })
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
    const { toServer, toClient } = this.#filters()
    const [up, down] = [new OneWay(client, server), new OneWay(server, client)]
    client.on('data', (bytes) => {
      if (this.#mode !== 'silent') up.pass(toServer(bytes), this.delayMs)
    })
    server.on('data', (bytes) => {
      if (this.#mode === 'open') down.pass(toClient(bytes), this.delayMs)
    })
  }
}

/** Passes bytes on in their order, however the delay changes. Who does not read holds up who writes, as without a proxy. */
class OneWay {
  readonly #from: Socket
  readonly #to: Socket
  #underWay = 0
  #last: Promise<void> = Promise.resolve()

  constructor(from: Socket, to: Socket) {
    this.#from = from
    this.#to = to
  }

  pass(bytes: Buffer, delayMs: number): void {
    if (bytes.length === 0) return
    if (this.#underWay === 0 && delayMs === 0) {
      this.#write(bytes)
      return
    }
    this.#underWay++
    const arrived = new Promise((resolve) => setTimeout(resolve, delayMs))
    this.#last = Promise.all([this.#last, arrived]).then(() => {
      this.#underWay--
      this.#write(bytes)
    })
  }

  #write(bytes: Buffer): void {
    if (this.#to.destroyed || this.#to.write(bytes) || this.#from.isPaused()) return
    this.#from.pause()
    this.#to.once('drain', () => this.#from.resume())
  }
}

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/**
 * `open`: bytes go both ways. `deaf`: requests arrive, answers are lost. `silent`: nothing arrives, connections stay open.
 * `cut`: connections break, and no new one is made.
 */
export type ProxyMode = 'open' | 'deaf' | 'silent' | 'cut'

/** A network between a client and a server of this machine that a test can break. */
export class TcpProxy {
  readonly port: number
  #mode: ProxyMode = 'open'
  readonly #sockets: Set<Socket>

  static async start(targetPort: number): Promise<TcpProxy> {
    const sockets = new Set<Socket>()
    const server = createServer({ allowHalfOpen: false }, (client) => proxy.#accept(client, targetPort))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const proxy = new TcpProxy((server.address() as AddressInfo).port, sockets)
    onTestFinished(() => {
      proxy.set('cut')
      server.close()
    })
    return proxy
  }

  private constructor(port: number, sockets: Set<Socket>) {
    this.port = port
    this.#sockets = sockets
  }

  /** What was lost in one mode does not come back in another: its connections break when the mode is left. */
  set(mode: ProxyMode): void {
    const breaks = mode === 'cut' || this.#mode === 'deaf' || this.#mode === 'silent'
    this.#mode = mode
    if (breaks) for (const socket of [...this.#sockets]) socket.destroy()
  }

  #accept(client: Socket, targetPort: number): void {
    if (this.#mode === 'cut') {
      client.destroy()
      return
    }
    const server = connect(targetPort, '127.0.0.1')
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
    client.on('data', (bytes) => {
      if (this.#mode !== 'silent') server.write(bytes)
    })
    server.on('data', (bytes) => {
      if (this.#mode === 'open') client.write(bytes)
    })
  }
}

import type { ClusterOptions } from './cluster-processes.js'
import type { Dice } from './dice.js'
import { freePort } from './free-port.js'
import { type ProxyMode, type ProxyOptions, TcpProxy } from './tcp-proxy.js'

export interface NetworkOptions {
  /** Default 3. */
  readonly nodes?: number
  readonly dice: Dice
  /** What happens to what one node sends to another, by connection. */
  readonly filters?: ProxyOptions['filters']
}

/**
 * The network between the nodes of a cluster: a proxy from each node to each port of each other one, to be broken on its own.
 *
 * A node is known to the others by a name, which each resolves to an address of the loopback network of its own: there its
 * proxy listens on the ports of the node behind it. All of 127.0.0.0/8 is local on Linux; other systems have 127.0.0.1 alone.
 */
export class ClusterNetwork {
  readonly #ports: readonly (readonly [number, number])[]
  readonly #links = new Map<string, readonly TcpProxy[]>()

  static async start({ nodes = 3, dice, filters }: NetworkOptions): Promise<ClusterNetwork> {
    const ports: [number, number][] = []
    const taken = new Set<number>()
    const another = async (): Promise<number> => {
      for (;;) {
        const port = await freePort(() => dice.fraction())
        if (!taken.has(port)) {
          taken.add(port)
          return port
        }
      }
    }
    for (let i = 0; i < nodes; i++) ports.push([await another(), await another()])
    const network = new ClusterNetwork(ports)
    for (let from = 0; from < nodes; from++) {
      for (let to = 0; to < nodes; to++) {
        if (from === to) continue
        const host = hostOf(from, to)
        const link = ports[to]!.map((port) =>
          TcpProxy.start(port, { host, port, ...(filters && { filters }) }),
        )
        network.#links.set(`${from} ${to}`, await Promise.all(link))
      }
    }
    return network
  }

  private constructor(ports: readonly (readonly [number, number])[]) {
    this.#ports = ports
  }

  /** What the nodes must be told. */
  get nodeAt(): NonNullable<ClusterOptions['nodeAt']> {
    return (index) => {
      const [requests, publications] = this.#ports[index]!
      return {
        listen: `127.0.0.1:${requests}`,
        publishPort: publications,
        advertise: nameOf(index),
        hosts: Object.fromEntries(this.#ports.map((_, to) => [nameOf(to), hostOf(index, to)])),
      }
    }
  }

  /** Of the connections that one node makes to another, which carry its requests, the answers to them, and publications back. */
  set(from: number, to: number, mode: ProxyMode): void {
    for (const proxy of this.#links.get(`${from} ${to}`)!) proxy.set(mode)
  }

  delay(ms: number): void {
    for (const proxy of this.#all()) proxy.delayMs = ms
  }

  /** Breaks every connection; they can be made again. */
  breakAll(): void {
    for (const proxy of this.#all()) proxy.breakAll()
  }

  /** Parts some nodes from the others. `silent`: nobody is told, connections stay; `cut`: they break. */
  part(some: readonly number[], mode: 'silent' | 'cut'): void {
    for (const key of this.#links.keys()) {
      const [from, to] = key.split(' ').map(Number) as [number, number]
      if (some.includes(from) !== some.includes(to)) this.set(from, to, mode)
    }
  }

  heal(): void {
    for (const proxy of this.#all()) proxy.set('open')
  }

  #all(): readonly TcpProxy[] {
    return [...this.#links.values()].flat()
  }
}

function nameOf(index: number): string {
  return `n${index + 1}.cluster`
}

function hostOf(from: number, to: number): string {
  return `127.1.${from + 1}.${to + 1}`
}

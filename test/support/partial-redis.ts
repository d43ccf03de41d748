import type { RedisServer } from './redis.js'
import { type RedisRequest, RespParser, requestOf } from './resp.js'
import { type Filter, TcpProxy } from './tcp-proxy.js'

/**
 * What becomes of one request: it is run and answered; refused with this error, and not run; the connection breaks before it
 * arrives, and those before it are answered; or it is run, and the connection breaks before its answer.
 */
export type Fate = 'answered' | `-${string}` | 'unheard' | 'unanswered'

export type Judge = (request: RedisRequest) => Fate

/** A request that does nothing and has one answer: takes the place of one that is refused, so that answers stay in order. */
const PING = Buffer.from('*1\r\n$4\r\nPING\r\n')

/** A real Redis behind a proxy that lets it answer part of what is sent to it, request by request. */
export class PartialRedis {
  readonly #network: TcpProxy
  #judge: Judge = () => 'answered'
  /** Requests that were not answered, by their name, the first part of the bucket's, and what became of them. */
  readonly troubled: { readonly what: string; readonly fate: Fate }[] = []

  static async start(redis: RedisServer): Promise<PartialRedis> {
    const filters = () => partial.#connection()
    const partial: PartialRedis = new PartialRedis(await TcpProxy.start(redis.port, { filters }))
    return partial
  }

  private constructor(network: TcpProxy) {
    this.#network = network
  }

  get url(): string {
    return `redis://127.0.0.1:${this.#network.port}`
  }

  /** Decides what becomes of each request from now on. */
  set(judge: Judge): void {
    this.#judge = judge
  }

  /** From now on all is answered. */
  calm(): void {
    this.#judge = () => 'answered'
  }

  count(what: RegExp): number {
    return this.troubled.filter((each) => what.test(`${each.what} ${each.fate}`)).length
  }

  #connection(): { readonly toServer: Filter; readonly toClient: Filter } {
    const requests = new RespParser()
    const answers = new RespParser()
    /** What the client gets for each answer of the server that is to come: that one, another, or the end. */
    const expected: ('its own' | Buffer | 'none')[] = []
    let isBroken = false
    const breakNow = (): void => {
      // What was passed on in this turn is on its way by then.
      setImmediate(() => this.#network.breakAll())
    }
    return {
      toServer: (bytes) => {
        const out: Buffer[] = []
        for (const request of requests.push(bytes)) {
          if (isBroken) break
          const fate = this.#fateOf(request)
          if (fate === 'unheard') {
            isBroken = true
            if (expected.length === 0) breakNow()
            break
          }
          isBroken = fate === 'unanswered'
          if (fate === 'answered') expected.push('its own')
          else expected.push(isBroken ? 'none' : Buffer.from(`${fate}\r\n`))
          out.push(fate === 'answered' || isBroken ? request : PING)
        }
        return Buffer.concat(out)
      },
      toClient: (bytes) => {
        const out: Buffer[] = []
        for (const answer of answers.push(bytes)) {
          const given = expected.shift()
          if (given === 'its own') out.push(answer)
          else if (given !== undefined && given !== 'none') out.push(given)
          if (isBroken && expected.length === 0) breakNow()
        }
        return Buffer.concat(out)
      },
    }
  }

  #fateOf(bytes: Buffer): Fate {
    const request = requestOf(bytes)
    const fate = this.#judge(request)
    if (fate !== 'answered') this.troubled.push({ what: nameOf(request), fate })
    return fate
  }
}

/** `hset value` */
export function nameOf({ name, key }: RedisRequest): string {
  return `${name} ${/^virga:([a-z-]+)/.exec(key)?.[1] ?? ''}`
}

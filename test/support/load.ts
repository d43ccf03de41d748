import type { Virga } from '../../src/client/virga.js'
import { transactionId } from '../../src/compose/transaction-id.js'
import { VirgaError } from '../../src/errors.js'
import { Dice } from './dice.js'
import type { Reckoning } from './reckoning.js'

/** Groups of keys that transactions share. */
export const GROUPS = 5
const ATTEMPTS_MAX = 1_000

/** Clients that write groups of keys, one transaction after the other, until they are told to stop. */
export class Load {
  readonly #reckoning: Reckoning
  readonly #loops: Promise<void>[] = []
  readonly #seed: number
  #stopped = false
  #failure: unknown
  #transactions = 0

  constructor(reckoning: Reckoning, seed: number) {
    this.#reckoning = reckoning
    this.#seed = seed
  }

  get transactions(): number {
    return this.#transactions
  }

  /** One function per transaction. Give the client many attempts and it goes on through every failure, or one and it tells. */
  functions(virga: Virga): void {
    this.#start((id, dice) => {
      let attempt = 0
      return virga.transaction(
        async (tx) => {
          const tag = `${id}#${++attempt}`
          const group = dice.between(1, GROUPS)
          this.#reckoning.whole(`group ${group}`, await tx.getMany(this.#reckoning.groupKeys(group)))
          for (const [key, value] of this.#reckoning.entries(id, tag, group, dice.between(0, 19) === 0)) {
            tx.put(key, value)
          }
          return tag
        },
        { id },
      )
    })
  }

  /**
   * Two branches and a join per transaction, handed off durably or not, tried again under the same id until it commits. Given
   * several clients, each function runs at any of them.
   */
  dags(...clients: readonly [Virga, ...Virga[]]): void {
    this.#start(async (id, dice) => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.#dag(clients, id, `${id}#${attempt}`, dice)
        } catch (error) {
          if (!VirgaError.is(error) || !error.retryable || attempt === ATTEMPTS_MAX) throw error
          await new Promise((resolve) => setTimeout(resolve, 10))
        }
      }
    })
  }

  async #dag(clients: readonly Virga[], id: string, tag: string, dice: Dice): Promise<string> {
    const group = dice.between(1, GROUPS)
    const durable = dice.between(0, 1) === 0
    const entries = this.#reckoning.entries(id, tag, group, dice.between(0, 3) === 0)
    const part = (from: number, to: number) => (tx: { put(key: string, value: unknown): void }) => {
      for (const [key, value] of entries.slice(from, to)) tx.put(key, value)
    }
    const root = await dice.pick(clients).step(undefined, part(0, 2), { id, durable })
    const branches = await Promise.all([
      dice.pick(clients).step(root.context, part(2, 4), { durable }),
      dice.pick(clients).step(root.context, part(4, 6)),
    ])
    const { result } = await dice.pick(clients).commit<string>(
      branches.map(({ context }) => context),
      { result: tag },
    )
    return result!
  }

  #start(run: (id: string, dice: Dice) => Promise<string>): void {
    const loop = this.#loops.length
    const dice = new Dice(this.#seed + loop)
    const go = async (): Promise<void> => {
      for (let n = 0; !this.#stopped; n++) {
        const id = transactionId(`${this.#seed} ${loop} ${n}`, Date.now())
        try {
          this.#reckoning.committed(id, await run(id, dice))
        } catch (error) {
          this.#reckoning.failed(id, error)
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
        this.#transactions++
      }
    }
    this.#loops.push(
      go().catch((error: unknown) => {
        this.#failure ??= error
      }),
    )
  }

  /** Throws what a client met that it never should. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#loops)
    this.check()
  }
}

import type { TxnId } from '../../../../src/core/ids.js'
import {
  baseBuckets,
  blobBuckets,
  blobKey,
  decisionBuckets,
  minuteAt,
  type Place,
} from '../../../../src/core/layout.js'
import { compareStamps } from '../../../../src/core/version.js'
import type { Clock } from '../../../../src/ports/clock.js'
import type { Storage } from '../../../../src/ports/storage.js'
import { decodeBase, decodeMinute, decodeStanding } from '../../../../src/wire/records.js'

/** What collection has left in storage. */
export class Stored {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #minutesBack: number

  /** @param minutesBack how far back a test has written */
  constructor(storage: Storage, clock: Clock, minutesBack: number) {
    this.#storage = storage
    this.#clock = clock
    this.#minutesBack = minutesBack
  }

  async list(bucket: string): Promise<Map<string, Uint8Array>> {
    const found = new Map<string, Uint8Array>()
    for await (const { id, value } of this.#storage.list(bucket, { values: true })) found.set(id, value!)
    return found
  }

  /** Names of large values that stand, and of those that bases or decisions refer to. */
  async largeValues(): Promise<{ standing: Set<string>; referred: Set<string> }> {
    const standing = new Set<string>()
    const referred = new Set<string>()
    const nameOf = ({ bucket, id }: Place): string => `${bucket} ${id}`
    const bases = await this.bases()
    for (const minute of this.#minutes()) {
      for (const bucket of blobBuckets(minute))
        for (const id of (await this.list(bucket)).keys()) standing.add(nameOf({ bucket, id }))
      for (const bucket of decisionBuckets(minute)) {
        for (const [txn, record] of await this.list(bucket)) {
          const found = decodeStanding(record)
          if (found.status !== 'committed') continue
          for (const { key, value } of found.writes) {
            const base = bases.get(key)
            const stamp = { hlc: found.hlc, txn: txn as TxnId }
            // Who finds a newer base reads that, whichever decision it comes from.
            if (value.kind === 'blob' && (base === undefined || compareStamps(stamp, base) >= 0))
              referred.add(nameOf(blobKey(stamp.txn, value.blob)))
          }
        }
      }
    }
    for (const { txn, value } of bases.values())
      if (value.kind === 'blob') referred.add(nameOf(blobKey(txn, value.blob)))
    return { standing, referred }
  }

  /** No value that is referred to is gone. */
  async checkValues(): Promise<void> {
    const { standing, referred } = await this.largeValues()
    for (const name of referred) if (!standing.has(name)) throw new Error(`the value ${name} is gone`)
  }

  /** After quiescence: nor is any other there. */
  async checkNoGarbage(): Promise<void> {
    const { standing, referred } = await this.largeValues()
    for (const name of standing) if (!referred.has(name)) throw new Error(`nothing refers to ${name}`)
  }

  /** Records of decisions that stand, by status. */
  async records(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {}
    for (const minute of this.#minutes())
      for (const bucket of decisionBuckets(minute))
        for (const record of (await this.list(bucket)).values()) {
          const { status } = decodeStanding(record)
          counts[status] = (counts[status] ?? 0) + 1
        }
    return counts
  }

  async bases(): Promise<Map<string, ReturnType<typeof decodeBase>>> {
    const found = new Map<string, ReturnType<typeof decodeBase>>()
    for (const bucket of baseBuckets())
      for (const [key, record] of await this.list(bucket)) found.set(key, decodeBase(record))
    return found
  }

  /** A minute that is told in storage, as the checkpoint is. */
  async minute(place: Place): Promise<number> {
    const [record] = await this.#storage.get([place])
    return decodeMinute(record!)
  }

  *#minutes(): Iterable<number> {
    const now = minuteAt(this.#clock.now())
    for (let minute = now - this.#minutesBack; minute <= now; minute++) yield minute
  }
}

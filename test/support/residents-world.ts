import { expect } from 'vitest'
import type { Coordinates } from '../../src/core/cut.js'
import type { History } from '../../src/core/history.js'
import { HLC_ZERO, type Hlc } from '../../src/core/hlc.js'
import type { Origin, TxnId } from '../../src/core/ids.js'
import { compareStamps, type Version } from '../../src/core/version.js'
import type { Bases, CachedBase } from '../../src/node/reading/bases.js'
import type { ValueCache } from '../../src/node/reading/value-cache.js'
import { OriginNumbers } from '../../src/node/view/origin-numbers.js'
import { Residents } from '../../src/node/view/residents.js'
import { entryKey, type Vector, valueKey } from '../../src/wire/view.js'
import { EntryCursor, FOUND, FOUND_ABSENT, FOUND_APART, NOT_FOUND } from '../../src/wire/view-entry.js'

const ORIGIN = 'n1@0640e0c2e7b000f0e1d2c3b4' as Origin
export const OTHER_ORIGIN = 'n2@0640e0c2e7b000f0e1d2c3b5' as Origin
export const BYTES_MAX = 64 * 1024
export const VALUE_BYTES_MAX = 8_000

/** What a node has in its chains and caches, as plain maps; and the records of the view, as the batches make them. */
export class World {
  readonly chains = new Map<string, Version[]>()
  readonly cachedBases = new Map<string, CachedBase>()
  readonly baseMoments = new Map<string, number>()
  readonly origins = new OriginNumbers()
  readonly bytes = new Map<Version, Uint8Array>()
  readonly uses: string[] = []
  readonly records = new Map<string, Uint8Array>()
  readonly residents: Residents
  moment = 0
  readonly clock: { last: Hlc } = { last: HLC_ZERO }

  constructor(bytesMax = BYTES_MAX) {
    this.residents = this.#residentsOf(bytesMax)
  }

  /** What a view that is made now holds of these keys, all of which fit. */
  madeAnew(keys: readonly string[]): World {
    const anew = new World()
    Object.assign(anew, { residents: this.#residentsOf(Number.MAX_SAFE_INTEGER) })
    for (const key of keys) anew.residents.want(key)
    anew.write()
    return anew
  }

  #residentsOf(bytesMax: number): Residents {
    return new Residents({
      history: { chainOf: (key: string) => this.chains.get(key) ?? [] } as unknown as History,
      bases: {
        glance: (key: string) => this.cachedBases.get(key),
        touch: (key: string) => this.uses.push(key),
      } as unknown as Bases,
      values: {
        glance: (version: Version) => this.bytes.get(version),
        touch: (version: Version) => this.uses.push(version.key),
      } as unknown as ValueCache,
      origins: this.origins,
      clock: this.clock,
      bytesMax,
      valueBytesMax: VALUE_BYTES_MAX,
    })
  }

  /** null deletes. */
  put(
    key: string,
    bytes: Uint8Array | null,
    hlc = (this.clock.last + (this.moment + 1) * 10) as Hlc,
    origin = ORIGIN,
  ): void {
    const moment = ++this.moment
    const applied = {
      txn: `t${moment}` as TxnId,
      hlc,
      moment,
      coordinates: [{ origin, seq: moment }],
    }
    const version = {
      key,
      index: 0,
      source: bytes === null ? 'tombstone' : 'inline',
      applied,
    } as unknown as Version
    const chain = [...(this.chains.get(key) ?? []), version]
    this.chains.set(
      key,
      chain.sort((a, b) => compareStamps(a.applied, b.applied)),
    )
    if (bytes !== null) this.bytes.set(version, bytes)
    this.residents.touched(version)
  }

  /** It comes from another node. Its clock is below that of others that came before, and above the base's: else it would be in there. */
  putLate(key: string, bytes: Uint8Array | null, by: number): void {
    const base = this.cachedBases.get(key)?.hlc ?? HLC_ZERO
    this.put(
      key,
      bytes,
      Math.max(this.clock.last + (this.moment + 1) * 10 - by, base + 1) as Hlc,
      OTHER_ORIGIN,
    )
  }

  /** The newest but so many gets another place. */
  place(key: string, fromNewest: number): void {
    const version = this.chains.get(key)?.at(-1 - fromNewest)
    if (version === undefined) return
    ;(version.applied.coordinates as Coordinates[]).push({ origin: OTHER_ORIGIN, seq: ++this.moment })
    this.residents.touched(version)
  }

  /** The oldest `count` versions leave the chain: the newest of them is the base. */
  compact(key: string, count: number): void {
    const chain = this.chains.get(key) ?? []
    const last = chain[count - 1]
    if (last === undefined) return
    this.chains.set(key, chain.slice(count))
    const bytes = last.source === 'tombstone' ? null : this.bytes.get(last)
    const { hlc, txn } = last.applied
    if (bytes === undefined) this.cachedBases.delete(key)
    else this.cachedBases.set(key, { hlc, txn, bytes })
    for (const version of chain.slice(0, count)) {
      this.residents.touched(version)
      this.baseMoments.set(key, Math.max(this.baseMoments.get(key) ?? 0, version.applied.moment))
    }
  }

  noBase(key: string): void {
    if (!this.cachedBases.has(key))
      this.cachedBases.set(key, { hlc: HLC_ZERO, txn: '' as TxnId, bytes: null })
  }

  forget(key: string): void {
    for (const version of this.chains.get(key) ?? []) this.bytes.delete(version)
  }

  /** Takes all that there is to write. */
  write(): void {
    do {
      for (const [key, record] of this.residents.take()) {
        if (record === null) this.records.delete(key)
        else this.records.set(key, Uint8Array.from(record))
      }
    } while (this.residents.hasWanted || this.residents.hasChanged)
  }

  /** As a reader looks, by its moment or by places. Undefined: it has to ask the node. */
  look(key: string, moment: number, places?: Vector): Uint8Array | null | undefined {
    const entry = this.records.get(entryKey(key))
    if (entry === undefined) return undefined
    const cursor = new EntryCursor()
    const data = new DataView(entry.buffer, entry.byteOffset, entry.length)
    switch (cursor.find(data, entry.length, moment, places, 0)) {
      case FOUND:
        return entry.slice(cursor.start, cursor.end)
      case FOUND_ABSENT:
        return null
      case FOUND_APART:
        return this.records.get(valueKey(cursor.number)) ?? fail(`no record ${cursor.number}`)
      case NOT_FOUND:
        return undefined
      default:
        return fail('an answer that there is not')
    }
  }

  /** What a snapshot of a moment sees; `gone` if the base is newer than that. */
  truth(key: string, moment: number): Uint8Array | null | 'gone' | 'unknown' {
    const seen = (this.chains.get(key) ?? []).findLast(({ applied }) => applied.moment <= moment)
    if (seen !== undefined) return seen.source === 'tombstone' ? null : (this.bytes.get(seen) ?? 'unknown')
    const base = this.cachedBases.get(key)
    if (base === undefined) return 'unknown'
    return (this.baseMoments.get(key) ?? 0) > moment ? 'gone' : base.bytes
  }
}

/** Millions of times: what is so is not told to the runner. */
export function same(a: unknown, b: unknown): void {
  const areBytes = a instanceof Uint8Array && b instanceof Uint8Array
  if (areBytes ? Buffer.compare(a, b) !== 0 : a !== b) expect(a).toEqual(b)
}

function fail(why: string): never {
  throw new Error(why)
}

export const value = (size: number, fill: number): Uint8Array => new Uint8Array(size).fill(fill)
export const apartRecords = (world: World): number =>
  [...world.records.keys()].filter((key) => key.startsWith('v')).length
export const entries = (world: World): string[] =>
  [...world.records.keys()].filter((key) => key.startsWith('k')).map((key) => key.slice(1))

/** Of the values that an entry names. */
export function numbersIn(entry: Uint8Array): number[] {
  const data = new DataView(entry.buffer, entry.byteOffset, entry.length)
  const numbers: number[] = []
  let at = 2
  for (let i = 0; i < data.getUint8(1); i++) {
    const start = at + 17 + data.getUint8(at + 16) * 12
    if (data.getUint8(start) === 2) numbers.push(data.getFloat64(start + 5, true))
    at = start + 5 + data.getUint32(start + 1, true)
  }
  return numbers
}

import { expect } from 'vitest'
import type { Virga } from '../../src/client/virga.js'
import { VirgaError } from '../../src/errors.js'
import type { Dice } from './dice.js'

/** Keys that each transaction writes, all with one value: whoever reads different values has seen part of one. */
const PARTS = [0, 1, 2] as const
const LARGE_BYTES = 40_000
const READ_MAX = 2_000
/** Transactions that were checked before and are checked again, each time. */
const AGAIN = 50

type Fate =
  | { readonly is: 'committed'; readonly tag: string }
  /** It surely did not commit, and nobody will try again. */
  | { readonly is: 'failed'; readonly told: string }
  | { readonly is: 'unknown' }

/**
 * Knows what clients were told of every transaction, and holds the node to it: what was acknowledged is there whole and
 * its retry gets the same result; of what failed there is nothing; what is unknown is one or the other, and stays so once
 * it is known.
 */
export class Reckoning {
  readonly #fates = new Map<string, Fate>()
  readonly #dice: Dice
  #unchecked: string[] = []

  constructor(dice: Dice) {
    this.#dice = dice
  }

  count(is: Fate['is']): number {
    let count = 0
    for (const fate of this.#fates.values()) if (fate.is === is) count++
    return count
  }

  committed(id: string, tag: string): void {
    this.#fates.set(id, { is: 'committed', tag })
    this.#unchecked.push(id)
  }

  /** An error tells whether the transaction surely failed; or that it has committed, in an attempt of which nothing was told. */
  failed(id: string, error: unknown): void {
    if (!VirgaError.is(error)) throw error
    this.#fates.set(
      id,
      error.outcome === 'definite' && error.code !== 'AlreadyCommitted'
        ? { is: 'failed', told: `${error.code}: ${error.message}` }
        : { is: 'unknown' },
    )
    this.#unchecked.push(id)
  }

  /** What a transaction with this tag writes: keys of its own, and those of a group that others write too. */
  entries(id: string, tag: string, group: number, large: boolean): readonly (readonly [string, unknown])[] {
    const value = large ? { tag, padding: new Uint8Array(LARGE_BYTES).fill(tag.length) } : { tag }
    return PARTS.flatMap((part) => [
      [ownKey(id, part), value] as const,
      [groupKey(group, part), value] as const,
    ])
  }

  /** Every key that any transaction told of may have written. */
  keys(groups: number): readonly string[] {
    const own = [...this.#fates.keys()].flatMap((id) => PARTS.map((part) => ownKey(id, part)))
    return [...own, ...Array.from({ length: groups }, (_, i) => this.groupKeys(i + 1)).flat()]
  }

  groupKeys(group: number): readonly string[] {
    return PARTS.map((part) => groupKey(group, part))
  }

  /** All parts are there with one tag, or none is. Returns the tag. */
  whole(what: string, values: readonly unknown[]): string | undefined {
    const tags = values.map((value) => (value as { tag: string } | undefined)?.tag)
    for (const tag of tags) expect(tag, `${what} is in parts: ${JSON.stringify(tags)}`).toBe(tags[0])
    return tags[0]
  }

  /** Checks what was told since the last check, and some of what was told before; with `all`, everything. */
  async check(virga: Virga, all = false): Promise<void> {
    const told = [...this.#fates.keys()]
    const again = told.length === 0 ? [] : Array.from({ length: AGAIN }, () => this.#dice.pick(told))
    const ids = [...new Set(all ? told : [...this.#unchecked, ...again])]
    this.#unchecked = []
    // Before the snapshot is taken: it must see what is known then.
    for (const id of ids) await this.#settle(virga, id)
    const keys = ids.flatMap((id) => PARTS.map((part) => ownKey(id, part)))
    const values = await virga.transaction(async (tx) => {
      const read: unknown[] = []
      while (read.length < keys.length)
        read.push(...(await tx.getMany(keys.slice(read.length, read.length + READ_MAX))))
      return read
    })
    for (const [i, id] of ids.entries()) {
      const fate = this.#fates.get(id)!
      const tag = this.whole(id, values.slice(i * PARTS.length, (i + 1) * PARTS.length))
      const said = fate.is === 'failed' ? `${fate.is}, as was told by ${fate.told}` : fate.is
      expect(tag, `${id} is ${said}`).toBe(fate.is === 'committed' ? fate.tag : undefined)
    }
  }

  /** Every retry of what committed gets the result that was acknowledged, and runs nothing. */
  async retry(virga: Virga, times: number): Promise<void> {
    const committed = [...this.#fates].filter(([, fate]) => fate.is === 'committed')
    for (let i = 0; i < times && committed.length > 0; i++) {
      const [id, fate] = this.#dice.pick(committed)
      const { tag } = fate as { readonly tag: string }
      const again = virga.transaction(() => Promise.reject(new Error(`${id} ran again`)), { id })
      expect(await again, id).toBe(tag)
      expect(await virga.status(id)).toMatchObject({ status: 'committed', result: tag })
    }
  }

  /** Makes an unknown fate known: cancels, which fails if it has committed. */
  async #settle(virga: Virga, id: string): Promise<void> {
    if (this.#fates.get(id)!.is !== 'unknown') return
    try {
      await virga.cancel(id)
      this.#fates.set(id, { is: 'failed', told: 'cancel' })
    } catch (error) {
      if (!VirgaError.is(error) || error.code !== 'AlreadyCommitted') throw error
      const { status, result } = await virga.status<string>(id)
      expect(status).toBe('committed')
      this.#fates.set(id, { is: 'committed', tag: result! })
    }
  }
}

function ownKey(id: string, part: number): string {
  return `own/${id}/${part}`
}

function groupKey(group: number, part: number): string {
  return `group/${group}/${part}`
}

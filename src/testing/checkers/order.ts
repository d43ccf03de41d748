import type { Committed, History, Tag } from './history.js'

/** The order of versions: by clock, then by transaction. Positive if `a` is newer. */
export function compareCommits(a: Committed, b: Committed): number {
  return a.hlc - b.hlc || (a.txn < b.txn ? -1 : a.txn > b.txn ? 1 : 0)
}

/** Who wrote what, and which of a key's versions is newer. */
export class Order {
  readonly #byTag = new Map<string, Committed>()
  readonly #writers = new Map<string, Committed[]>()

  constructor({ committed }: Pick<History, 'committed'>) {
    for (const one of [...committed.values()].sort(compareCommits)) {
      for (const [key, tag] of one.writes) {
        if (tag !== null) this.#byTag.set(tag, one)
        const writers = this.#writers.get(key)
        if (writers === undefined) this.#writers.set(key, [one])
        else writers.push(one)
      }
    }
  }

  /** The transaction that committed this very write; undefined if none did. */
  writerOf(tag: Tag): Committed | undefined {
    return tag === null ? undefined : this.#byTag.get(tag)
  }

  /** Committed writers of a key, oldest first. */
  writersOf(key: string): readonly Committed[] {
    return this.#writers.get(key) ?? []
  }

  newest(key: string): Committed | undefined {
    return this.writersOf(key).at(-1)
  }

  /**
   * Whether a read of `key` that returned `tag` may be of a snapshot that sees `seen`, a writer of that key: it returned
   * that write or a newer one. An absent key may stand for any newer deletion.
   */
  mayFollow(key: string, tag: Tag, seen: Committed): boolean {
    if (tag === null) {
      return this.writersOf(key).some(
        (writer) => writer.writes.get(key) === null && compareCommits(writer, seen) >= 0,
      )
    }
    const writer = this.writerOf(tag)
    return writer !== undefined && compareCommits(writer, seen) >= 0
  }
}

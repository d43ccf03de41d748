import type { Coordinates } from '../../core/cut.js'
import type { Origin, TxnId } from '../../core/ids.js'
import type { CacheNode } from '../../node/node.js'

/**
 * Where commits stand in the orders of nodes, as all nodes know it that ever served, the dead ones too: what a cut sees of them is
 * told by that alone. Chains let go of a commit some time after its record has become a marker: so it is looked for then.
 */
export class Places {
  readonly #nodes: CacheNode[] = []
  readonly #of: Map<string, readonly Coordinates[]>

  constructor(of: Map<string, readonly Coordinates[]>) {
    this.#of = of
  }

  serves(node: CacheNode): void {
    this.#nodes.push(node)
  }

  /** Of each origin the last place that it gave out. */
  givenOut(): ReadonlyMap<Origin, number> {
    return new Map(this.#nodes.map((node) => [node.origin, node.inspect().applied.get(node.origin) ?? 0]))
  }

  /** Writes down where it stands, in addition to what is known of that. */
  look(txn: string): void {
    const known = [...(this.#of.get(txn) ?? [])]
    for (const node of this.#nodes) {
      for (const at of node.inspect().placesOf(txn as TxnId)) {
        if (!known.some(({ origin, seq }) => origin === at.origin && seq === at.seq)) known.push({ ...at })
      }
    }
    this.#of.set(txn, known)
  }
}

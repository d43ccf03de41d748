import type { Cut } from '../../../src/core/cut.js'
import { History } from '../../../src/core/history.js'
import { HLC_ZERO, type Hlc } from '../../../src/core/hlc.js'
import type { Origin, TxnId } from '../../../src/core/ids.js'
import type { Publication } from '../../../src/core/publication.js'
import type { Stamp } from '../../../src/core/version.js'

// What the model of a cluster (`cluster-model.ts`) is made of.

export interface Txn extends Stamp {
  readonly publication: Publication
  /** All that its snapshot saw. */
  readonly saw: ReadonlySet<TxnId>
}

export interface Snapshot {
  readonly home: Node
  readonly cut: Cut
  /** Of its home's history. */
  readonly moment: number
  readonly saw: ReadonlySet<TxnId>
}

export class Node {
  readonly origin: Origin
  readonly history = new History()
  /** The oracle's: every transaction that a snapshot which begins here sees. */
  readonly visible = new Set<TxnId>()
  /** Bases that are cached, by the rules of a node. */
  readonly cache = new Map<string, Stamp>()
  isMember = false
  /** How many departures it knows of. */
  learned = 0
  clock: Hlc = HLC_ZERO
  /** What a listing found that is not adopted yet. */
  listed: readonly TxnId[] = []

  constructor(origin: Origin) {
    this.origin = origin
  }

  observe(hlc: Hlc): void {
    if (hlc > this.clock) this.clock = hlc
  }
}

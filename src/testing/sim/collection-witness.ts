import { type Base, decodeBase } from '../../wire/records.js'
import type { Raised, Violation } from '../checkers/history.js'
import type { EventLog } from './event-log.js'

/**
 * I9, from what is written to storage: a key's base only ever becomes newer, only a deletion is removed, and no value is
 * deleted that a base refers to. (A decision may outlive its values: its versions are older than a base that all see.)
 */
export class CollectionWitness {
  readonly broken: Violation[] = []
  readonly raised: Raised[]
  readonly #log: EventLog
  /** Of each key the value that its base refers to, if it lies apart. */
  readonly #ofBases = new Map<string, string>()

  constructor(log: EventLog, raised: Raised[]) {
    this.#log = log
    this.raised = raised
  }

  base(key: string, before: Uint8Array | undefined, after: Uint8Array | undefined): void {
    const [from, to] = [before && decodeBase(before), after && decodeBase(after)]
    if (to === undefined) {
      if (from !== undefined && from.value.kind !== 'tombstone') this.#break(`the base of ${key} was removed`)
      this.#ofBases.delete(key)
      return
    }
    if (from !== undefined && isOlder(to, from)) this.#break(`the base of ${key} went back to ${to.txn}`)
    if (to.value.kind === 'blob') this.#ofBases.set(key, `${to.txn}:${to.value.blob}`)
    else this.#ofBases.delete(key)
    if (from?.txn !== to.txn) this.raised.push({ key, txn: to.txn, at: this.#log.count })
  }

  deleted(value: string): void {
    for (const [key, of] of this.#ofBases)
      if (of === value) this.#break(`${value} was deleted, to which the base of ${key} refers`)
  }

  #break(what: string): void {
    this.broken.push({ rule: 'I9 safe collection', what })
  }
}

function isOlder(a: Base, b: Base): boolean {
  return a.hlc < b.hlc || (a.hlc === b.hlc && a.txn < b.txn)
}

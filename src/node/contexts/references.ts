import type { Context, WriteSet, WriteSetBody } from '../../core/context.js'
import type { Attempt, TxnId } from '../../core/ids.js'
import { VirgaError } from '../../errors.js'
import { constantTimeEqual, type Mac } from '../../wire/context.js'
import { pack } from '../../wire/msgpack.js'

const PROOF_BYTES = 16

type Named = Pick<Context, 'txn' | 'attempt'>

/**
 * Executors make contexts, and write sets that travel in them. That a write set is in a node's memory, or in storage, only nodes say: each
 * such entry has a proof under a key that executors are not told. Else whoever can open a socket could read what another
 * transaction has not committed, and have deleted what it has.
 */
export class References {
  readonly #mac: Mac

  constructor(mac: Mac) {
    this.#mac = mac
  }

  /** The body, with the proof that a node of this cluster has put the write set there. */
  proven<B extends WriteSetBody>(of: Named, id: string, body: B): B {
    return body.kind === 'inline' ? body : { ...body, proof: this.#proof(of.txn, of.attempt, id, body) }
  }

  /** Throws `ContextInvalid` for a context that names a place without such a proof. */
  check({ txn, attempt, lineage }: Context): void {
    for (const { id, body } of lineage) {
      if (body.kind === 'inline') continue
      if (body.proof === undefined || !constantTimeEqual(body.proof, this.#proof(txn, attempt, id, body)))
        throw new VirgaError(
          'ContextInvalid',
          `a context of ${txn} was refused: no node has put a write set there`,
        )
    }
  }

  #proof(txn: TxnId, attempt: Attempt, id: WriteSet['id'], body: WriteSetBody): Uint8Array {
    const place = body.kind === 'held' ? body.origin : body.kind === 'durable' ? body.blob : ''
    return this.#mac(pack([txn, attempt, id, body.kind, place])).subarray(0, PROOF_BYTES)
  }
}

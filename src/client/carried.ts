import type { Attempt, Origin, TxnId } from '../core/ids.js'
import { decodeSealed, type Mac } from '../wire/context.js'

/** What a context carries, as its reader needs it to go on before the node has heard of that. */
export interface Carried {
  readonly id: TxnId
  readonly attempt: Attempt
  readonly keyed: boolean
  readonly deadlineMs: number
  /** Where to read in the view. Null: the node must be asked, or will tell. */
  readonly snapshot: Uint8Array | null
  /** As `TransactionState.upstream`, and complete. */
  readonly upstream: ReadonlyMap<string, Uint8Array | null | 'ahead'>
}

/**
 * Reads a context that a node of this cluster has handed off. What it sees is known only to that one's own executors, by the
 * numbers of its view. Undefined: it was changed, or is too old, or does not tell all that was written: the node must be asked
 * what to make of it.
 *
 * @param node the one that this client is connected to
 */
export function carriedBy(
  text: string,
  sealOf: Mac,
  node: Origin | undefined,
  nowMs: number,
): Carried | undefined {
  const context = decodeSealed(text, sealOf)
  if (context === undefined || nowMs > context.deadlineMs) return undefined
  const upstream = new Map<string, Uint8Array | null | 'ahead'>()
  // Upstream before downstream, so that of several writes of a key the last one stays.
  for (const { body } of context.lineage) {
    if (body.kind === 'inline') for (const [key, value] of body.writes) upstream.set(key, value)
    else if (body.keys === undefined) return undefined
    else for (const key of body.keys) upstream.set(key, 'ahead')
  }
  const { txn: id, attempt, keyed, deadlineMs, sender, snapshot } = context
  return {
    id,
    attempt,
    keyed,
    deadlineMs,
    snapshot: snapshot === undefined || sender !== node ? null : snapshot,
    upstream,
  }
}

import type { Attempt, TxnId } from '../core/ids.js'
import { decodeSealed, type Mac } from '../wire/context.js'
import { View, type ViewSnapshot } from './view.js'

/** What a context carries, as its reader needs it to go on before the node has heard of that. */
export interface Carried {
  readonly id: TxnId
  readonly attempt: Attempt
  readonly keyed: boolean
  readonly deadlineMs: number
  /** Where to read in the view. Undefined: the node must be asked. */
  readonly snapshot: ViewSnapshot | undefined
  /** As `TransactionState.upstream`, and complete. */
  readonly upstream: ReadonlyMap<string, Uint8Array | null | 'ahead'>
}

/**
 * Reads a context that this client's own node has handed off, and keeps up until its transaction ends. Undefined: it is from
 * elsewhere, or was changed, or is too old, or does not tell all that was written: the node must be asked what to make of it.
 */
export function carriedBy(text: string, sealOf: Mac, nowMs: number): Carried | undefined {
  const context = decodeSealed(text, sealOf)
  if (context === undefined || nowMs > context.deadlineMs) return undefined
  const upstream = new Map<string, Uint8Array | null | 'ahead'>()
  // Upstream before downstream, so that of several writes of a key the last one stays.
  for (const { body } of context.lineage) {
    if (body.kind === 'inline') for (const [key, value] of body.writes) upstream.set(key, value)
    else if (body.keys === undefined) return undefined
    else for (const key of body.keys) upstream.set(key, 'ahead')
  }
  const { txn: id, attempt, keyed, deadlineMs, snapshot } = context
  return {
    id,
    attempt,
    keyed,
    deadlineMs,
    snapshot: snapshot === undefined ? undefined : View.snapshot(snapshot),
    upstream,
  }
}

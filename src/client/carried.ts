import type { Context } from '../core/context.js'
import type { Attempt, Origin, TxnId } from '../core/ids.js'
import { VirgaError } from '../errors.js'
import { contextBytes, decodeContext, type Mac } from '../wire/context.js'

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

/** A context that was taken up without a message. */
export interface Taken {
  readonly context: Context
  readonly text: string
  /** The same, as the node is told it. */
  readonly bytes: Uint8Array
}

/**
 * Reads a context that a node or an executor of this cluster has handed off. What it sees is known only to the executors of the
 * node that began it, by the numbers of its view. Undefined: it was changed, or is too old, or does not tell all that was written:
 * the node must be asked what to make of it.
 *
 * @param node the one that this client is connected to
 */
export function carriedBy(
  text: string,
  mac: Mac,
  node: Origin | undefined,
  nowMs: number,
): { readonly taken: Taken; readonly carried: Carried } | undefined {
  const taken = take(text, mac)
  if (taken === undefined || nowMs > taken.context.deadlineMs) return undefined
  const upstream = new Map<string, Uint8Array | null | 'ahead'>()
  // Upstream before downstream, so that of several writes of a key the last one stays.
  for (const { body } of taken.context.lineage) {
    if (body.kind === 'inline') for (const [key, value] of body.writes) upstream.set(key, value)
    else if (body.keys === undefined) return undefined
    else for (const key of body.keys) upstream.set(key, 'ahead')
  }
  const { txn: id, attempt, keyed, deadlineMs, sender, snapshot } = taken.context
  const known = snapshot === undefined || sender !== node ? null : snapshot
  return { taken, carried: { id, attempt, keyed, deadlineMs, snapshot: known, upstream } }
}

function take(text: string, mac: Mac): Taken | undefined {
  try {
    const bytes = contextBytes(text)
    return { context: decodeContext(bytes, mac), text, bytes }
  } catch (error) {
    if (VirgaError.is(error) && error.code === 'ContextInvalid') return undefined
    throw error
  }
}

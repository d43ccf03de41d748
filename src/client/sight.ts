import type { Attachment } from './attachment.js'
import { View, type ViewSnapshot } from './view.js'

/** What a transaction reads in the view. */
export interface Sight {
  readonly view: View
  /** Undefined: the newest that there is, each time. */
  readonly snapshot: ViewSnapshot | undefined
  /** By this process's clock. */
  readonly deadlineMs: number
}

/** What is read in without asking, at a snapshot that the node has told. Undefined: no view is open. */
export function sightAt(
  { view }: Pick<Attachment, 'view'>,
  snapshot: Uint8Array,
  deadlineMs: number,
): Sight | undefined {
  return view && { view, snapshot: View.snapshot(snapshot), deadlineMs }
}

/** `NOT_SEEN`: the node must be asked. */
export function look({ view, snapshot }: Sight, key: string): unknown {
  return snapshot === undefined ? view.readNewest(key) : view.read(snapshot, key)
}

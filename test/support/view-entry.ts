import type { Hlc } from '../../src/core/hlc.js'
import {
  EntryWriter,
  ITEM_ABSENT,
  type ITEM_APART,
  ITEM_ELSEWHERE,
  ITEM_INLINE,
} from '../../src/wire/view-entry.js'

export type ItemValue =
  | { readonly kind: typeof ITEM_ABSENT }
  | { readonly kind: typeof ITEM_ELSEWHERE }
  | { readonly kind: typeof ITEM_INLINE; readonly bytes: Uint8Array }
  | { readonly kind: typeof ITEM_APART; readonly number: number }

export interface ViewItem {
  /** 0: the key's base, which every snapshot sees. */
  readonly moment: number
  readonly hlc: Hlc
  readonly places: readonly (readonly [origin: number, seq: number])[]
  readonly value: ItemValue
}

/** An entry of the view, to look at. */
export interface ViewEntry {
  /** Newest first. */
  readonly items: readonly ViewItem[]
  /** The last item is the key's base. False: there may be more that is older than the items. */
  readonly endsWithBase: boolean
}

export function encodeEntry({ items, endsWithBase }: ViewEntry, writer = new EntryWriter()): Uint8Array {
  for (const { moment, hlc, places, value } of items) {
    writer.item(moment, hlc, places.length)
    for (const [origin, seq] of places) writer.place(origin, seq)
    if (value.kind === ITEM_ABSENT) writer.absent()
    else if (value.kind === ITEM_ELSEWHERE) writer.elsewhere()
    else if (value.kind === ITEM_INLINE) writer.inline(value.bytes)
    else writer.apart(value.number)
  }
  return writer.end(endsWithBase)
}

/** What both ends of a view in LMDB agree on. */

export const DATA_FILE = 'data.mdb'
export const LOCK_FILE = 'lock.mdb'

/** Methods of a Buffer that its types leave out: they do without the checks that cost more than the work. */
interface Utf8Buffer {
  utf8Write(text: string, start: number): number
  utf8Slice(start: number, end: number): string
}

/** Keys are their UTF-8 bytes. */
export const keyEncoder = {
  writeKey(key: string, target: Buffer, position: number): number {
    return position + (target as unknown as Utf8Buffer).utf8Write(key, position)
  },
  readKey(source: Buffer, start: number, end: number): string {
    return (source as unknown as Utf8Buffer).utf8Slice(start, end)
  },
}

/** What both ends of a view in LMDB agree on. */
import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { endianness } from 'node:os'

export const DATA_FILE = 'data.mdb'
export const LOCK_FILE = 'lock.mdb'
/** Names the node's process: what it leaves behind is removed when it is dead. */
export const OWNER_FILE = 'owner'

/** In the first page, after its header. In the byte order of the machine. */
const MAGIC_OFFSET = 24
const MAGIC = 0xbeefc0de

/** lmdb-js ends the whole process (a segmentation fault) where it opens what is none. */
export function isEnvironment(file: string): boolean {
  if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) return false
  const header = Buffer.alloc(MAGIC_OFFSET + 4)
  const descriptor = openSync(file, 'r')
  try {
    readSync(descriptor, header, 0, header.length, 0)
  } finally {
    closeSync(descriptor)
  }
  return (
    (endianness() === 'LE' ? header.readUInt32LE(MAGIC_OFFSET) : header.readUInt32BE(MAGIC_OFFSET)) === MAGIC
  )
}

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

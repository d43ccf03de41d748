/**
 * What must be so before lmdb-js may open a directory: it ends the whole process (a segmentation fault) when opening
 * fails in native code, on a file that is not of LMDB or that may not be written.
 */
import {
  accessSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readSync,
  realpathSync,
  statSync,
} from 'node:fs'
import { endianness } from 'node:os'
import { join } from 'node:path'
import { VirgaError } from '../errors.js'

/** In the first page, after its header of 24 bytes. In the byte order of the machine. */
const MAGIC_OFFSET = 24
const MAGIC = 0xbeefc0de
const DATA_VERSION = 2

/**
 * Makes the directory, with mode 0700, where it is missing. Returns its real path.
 *
 * @throws VirgaError `StorageCorrupt`; an error of `node:fs`
 */
export function prepareDirectory(given: string): string {
  mkdirSync(given, { recursive: true, mode: 0o700 })
  const path = realpathSync(given)
  accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK)
  for (const name of ['data.mdb', 'lock.mdb']) {
    const file = join(path, name)
    const stat = statSync(file, { throwIfNoEntry: false })
    if (stat === undefined) continue
    if (!stat.isFile()) throw new VirgaError('StorageCorrupt', `${file} is no file`)
    accessSync(file, constants.R_OK | constants.W_OK)
    // Empty: made a moment ago, by someone who is about to fill it.
    if (name === 'data.mdb' && stat.size > 0) checkHeader(file)
  }
  return path
}

function checkHeader(file: string): void {
  const header = Buffer.alloc(MAGIC_OFFSET + 8)
  const descriptor = openSync(file, 'r')
  try {
    readSync(descriptor, header, 0, header.length, 0)
  } finally {
    closeSync(descriptor)
  }
  const word = (offset: number): number =>
    endianness() === 'LE' ? header.readUInt32LE(offset) : header.readUInt32BE(offset)
  if (word(MAGIC_OFFSET) !== MAGIC || (word(MAGIC_OFFSET + 4) & 0xffff) !== DATA_VERSION) {
    throw new VirgaError('StorageCorrupt', `${file} is not of LMDB, or of another version of it`)
  }
}

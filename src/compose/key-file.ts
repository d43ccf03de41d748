import { createPrivateKey, createPublicKey } from 'node:crypto'
import { closeSync, fstatSync, openSync, readSync, writeFileSync } from 'node:fs'
import { VirgaError } from '../errors.js'
import { isKey, z85Decode, z85Encode } from '../transport/z85.js'
import type { KeyPair } from '../transport/zeromq-keys.js'

const FILE_BYTES_MAX = 4_096
const LINE = /^(public|secret)[ \t]+(\S+)$/
/** Group and others. */
const FOREIGN_BITS = 0o077
const GROUP_READS = 0o040
const ROOT = 0
/** What comes before the 32 bytes of an X25519 key in PKCS #8. */
const PKCS8_HEAD = Buffer.from('302e020100300506032b656e04220420', 'hex')

/** The text of a key file: two lines, `public KEY` and `secret KEY`, and comments. */
export function formatKeyFile({ publicKey, secretKey }: KeyPair): string {
  return `# Keys of a virga node. The secret key is this node's alone: whoever has it can pass for it.
public ${publicKey}
secret ${secretKey}
`
}

/** Writes a key file that its user alone can read. Throws `InvalidArgument`, also if there is such a file already. */
export function writeKeyFile(path: string, pair: KeyPair): void {
  try {
    writeFileSync(path, formatKeyFile(pair), { flag: 'wx', mode: 0o600 })
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    const why =
      code === 'EEXIST'
        ? 'there is a file already, and it may hold a key that is in use: choose another name, or delete it first'
        : message
    throw new VirgaError('InvalidArgument', `can't write the key file ${path}: ${why}`, { cause })
  }
}

/** Reads a key file. Throws `InvalidArgument`, which says what to do, and never shows what is in the file. */
export function readKeyFile(path: string): KeyPair {
  const text = readPrivate(path)
  const keys = new Map<string, string>()
  for (const [n, line] of text.split('\n').entries()) {
    const trimmed = line.trim()
    if (trimmed === '' || trimmed.startsWith('#')) continue
    const [, name, key] = LINE.exec(trimmed) ?? []
    if (name === undefined || key === undefined || keys.has(name) || !isKey(key)) {
      throw wrong(
        path,
        `line ${n + 1} is not one of \`public KEY\` and \`secret KEY\`, once each, with a key of virga keygen`,
      )
    }
    keys.set(name, key)
  }
  const publicKey = keys.get('public')
  const secretKey = keys.get('secret')
  if (publicKey === undefined || secretKey === undefined) {
    throw wrong(
      path,
      `it has no ${publicKey === undefined ? 'public' : 'secret'} key; virga keygen --out FILE makes a key file`,
    )
  }
  // A peer that is told another key than the one this node proves sees nothing but silence.
  if (publicKeyOf(secretKey) !== publicKey) throw wrong(path, 'its keys do not belong together')
  return { publicKey, secretKey }
}

/**
 * Why a file of this mode and owner is open to others; undefined if it is not. One that belongs to root may be read by
 * its group: so do containers hand secrets to processes that are not root.
 */
export function openness(mode: number, uid: number): string | undefined {
  const foreign = mode & FOREIGN_BITS & ~(uid === ROOT ? GROUP_READS : 0)
  if (foreign === 0) return undefined
  return `others may use it (its mode is ${(mode & 0o777).toString(8).padStart(4, '0')}): make it its user's alone with chmod 600, and make new keys if others could have read these`
}

function readPrivate(path: string): string {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (cause) {
    throw wrong(path, (cause as Error).message, cause)
  }
  try {
    const stat = fstatSync(file)
    if (!stat.isFile()) throw wrong(path, 'it is no file')
    const why = process.platform === 'win32' ? undefined : openness(stat.mode, stat.uid)
    if (why !== undefined) throw wrong(path, why)
    const buffer = Buffer.alloc(FILE_BYTES_MAX + 1)
    const length = readSync(file, buffer)
    if (length > FILE_BYTES_MAX) throw wrong(path, `it has more than ${FILE_BYTES_MAX} bytes`)
    return buffer.toString('utf8', 0, length)
  } finally {
    closeSync(file)
  }
}

/** CURVE keys are X25519 keys. */
function publicKeyOf(secretKey: string): string {
  const der = Buffer.concat([PKCS8_HEAD, z85Decode(secretKey)!])
  const { x } = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })).export({
    format: 'jwk',
  })
  return z85Encode(Buffer.from(x!, 'base64url'))
}

function wrong(path: string, why: string, cause?: unknown): VirgaError {
  return new VirgaError('InvalidArgument', `can't take keys from ${path}: ${why}`, { cause })
}

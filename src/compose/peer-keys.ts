import { readFileSync } from 'node:fs'
import { VirgaError } from '../errors.js'
import { isKey } from '../transport/z85.js'

const KEYS_MAX = 10_000
/** A key may contain a #, but can't begin with one: its first letter stands for at most 82, and # for 84. */
const LINE = /^(\S+)(?:[ \t]+#.*)?$/

/**
 * The public keys of the peers that a node may speak with: one per line, as `virga keygen` prints them. Empty lines, lines
 * that begin with #, and what follows a space and a # are comments. Throws `InvalidArgument`, which names file and line.
 */
export function parsePeerKeys(text: string, path: string): ReadonlySet<string> {
  const keys = new Set<string>()
  for (const [n, line] of text.split('\n').entries()) {
    const trimmed = line.trim()
    if (trimmed === '' || trimmed.startsWith('#')) continue
    const key = LINE.exec(trimmed)?.[1]
    if (key === undefined || !isKey(key)) {
      throw new VirgaError(
        'InvalidArgument',
        `line ${n + 1} of ${path} is not the public key of a node: 40 letters of Z85, as virga keygen prints it`,
      )
    }
    keys.add(key)
    if (keys.size > KEYS_MAX)
      throw new VirgaError('InvalidArgument', `${path} has more than ${KEYS_MAX} keys`)
  }
  return keys
}

/** Reads a file of peer keys. Throws `InvalidArgument`. */
export function readPeerKeys(path: string): ReadonlySet<string> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    const why = (cause as Error).message
    throw new VirgaError('InvalidArgument', `can't read the keys of peers from ${path}: ${why}`, { cause })
  }
  return parsePeerKeys(text, path)
}

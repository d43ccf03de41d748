import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { formatKeyFile, openness, readKeyFile, writeKeyFile } from '../../../src/compose/key-file.js'
import { parsePeerKeys, readPeerKeys } from '../../../src/compose/peer-keys.js'
import { isKey, z85Decode, z85Encode } from '../../../src/transport/z85.js'
import { makeKeyPair } from '../../../src/transport/zeromq-keys.js'
import { tempFolder } from '../../support/temp.js'
import { thrown } from '../../support/thrown.js'

/** Files of keys: a node's own, and those of its peers. */

// The example of ZeroMQ's manual.
const PUBLIC = 'Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID'
const SECRET = 'D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs'
const PAIR = { publicKey: PUBLIC, secretKey: SECRET }

describe('Z85', () => {
  test('encodes and decodes the examples of its RFC', () => {
    const bytes = Uint8Array.of(0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b)
    expect(z85Encode(bytes)).toBe('HelloWorld')
    expect(z85Decode('HelloWorld')).toEqual(bytes)
    expect(z85Encode(new Uint8Array(4).fill(255))).toBe('%nSc0')
  })

  test.each(['Hello', '#####', '%nSc1', 'a b c', 'ab~cd', 'abcd', 'äbcde'])('%j', (text) => {
    const bytes = z85Decode(text)
    if (text === 'Hello') expect(bytes).toHaveLength(4)
    else expect(bytes).toBeUndefined()
  })

  test('keys that are made are keys', () => {
    for (let n = 0; n < 100; n++) {
      const { publicKey, secretKey } = makeKeyPair()
      expect([isKey(publicKey), isKey(secretKey)]).toEqual([true, true])
      expect(z85Encode(z85Decode(publicKey)!)).toBe(publicKey)
    }
    expect(isKey(`${PUBLIC}HelloWorld`)).toBe(false)
    expect(isKey('')).toBe(false)
  })
})

describe('a key file', () => {
  const file = (text: string, mode = 0o600): string => {
    const path = join(tempFolder(), 'key')
    writeFileSync(path, text)
    chmodSync(path, mode)
    return path
  }

  test('is read as it was written, and is its user’s alone', () => {
    for (let n = 0; n < 20; n++) {
      const path = join(tempFolder(), 'key')
      const pair = makeKeyPair()
      writeKeyFile(path, pair)
      expect(readKeyFile(path)).toEqual(pair)
      expect(statSync(path).mode & 0o777).toBe(0o600)
    }
  })

  test('is never overwritten', () => {
    const path = file('precious')
    expect(() => writeKeyFile(path, PAIR)).toThrow(
      expect.objectContaining({ code: 'InvalidArgument', message: expect.stringContaining(path) }),
    )
    expect(readFileSync(path, 'utf8')).toBe('precious')
  })

  test('may have comments, empty lines and the line ends of others', () => {
    const path = file(`# mine\r\n\r\nsecret \t ${SECRET}\r\n  public ${PUBLIC}`)
    expect(readKeyFile(path)).toEqual(PAIR)
  })

  test.each([
    ['', 'it has no public key'],
    [`public ${PUBLIC}\n`, 'it has no secret key'],
    [`secret ${SECRET}\n`, 'it has no public key'],
    [`# me\npublic ${PUBLIC}\nsecret ${SECRET.slice(1)}\n`, 'line 3'],
    [`public ${PUBLIC}\npublic ${PUBLIC}\n`, 'line 2'],
    [`${PUBLIC}\n`, 'line 1'],
    [`public ${PUBLIC}\nsecret ${SECRET}\ntertiary ${SECRET}\n`, 'line 3'],
    [`public ${SECRET}\nsecret ${PUBLIC}\n`, 'do not belong together'],
    [`${formatKeyFile(PAIR)}${'#'.repeat(5_000)}`, 'more than 4096 bytes'],
  ])('that is wrong is refused, and not shown: %j', async (text, says) => {
    const path = file(text)
    const { code, message } = await thrown((async () => readKeyFile(path))())
    expect(code).toBe('InvalidArgument')
    expect(message).toMatch(new RegExp(`^can't take keys from ${path}: .*${says}`))
    expect(message).not.toContain(SECRET.slice(1))
    expect(message).not.toContain(PUBLIC.slice(1))
  })

  test.each([0o606, 0o604, 0o622, 0o666, 0o777])('that others may use (%o) is refused', (mode) => {
    const path = file(formatKeyFile(PAIR), mode)
    expect(() => readKeyFile(path)).toThrow(
      expect.objectContaining({ code: 'InvalidArgument', message: expect.stringContaining('chmod 600') }),
    )
  })

  test('of root may be read by its group, as containers hand out secrets', () => {
    expect(openness(0o100440, 0)).toBeUndefined()
    expect(openness(0o100640, 0)).toBeUndefined()
    expect(openness(0o100400, 1000)).toBeUndefined()
    for (const mode of [0o660, 0o610, 0o644]) expect(openness(mode, 0)).toContain(`0${mode.toString(8)}`)
    for (const mode of [0o640, 0o604, 0o620]) expect(openness(mode, 1000)).toContain(`0${mode.toString(8)}`)
  })

  test('that is none is refused', () => {
    const folder = join(tempFolder(), 'folder')
    expect(() => readKeyFile(folder)).toThrow(expect.objectContaining({ code: 'InvalidArgument' }))
    mkdirSync(folder, { mode: 0o700 })
    expect(() => readKeyFile(folder)).toThrow(expect.objectContaining({ code: 'InvalidArgument' }))
  })
})

describe('the keys of peers', () => {
  test('are one per line, with comments', () => {
    const keys = Array.from({ length: 200 }, () => makeKeyPair().publicKey)
    const text = keys
      .map((key, n) => `${' '.repeat(n % 3)}${key}${n % 2 === 0 ? '' : '  # node'}`)
      .join('\r\n')
    expect(parsePeerKeys(`# ours\n\n${text}\n#${SECRET}\n`, 'peers')).toEqual(new Set(keys))
    expect(parsePeerKeys('', 'peers')).toEqual(new Set())
  })

  test.each([
    [`${PUBLIC}\n${PUBLIC.slice(1)}`, 'line 2 of peers'],
    [`\n# a\n${PUBLIC} node-1`, 'line 3 of peers'],
    [`${PUBLIC}#node-1`, 'line 1 of peers'],
    [`public ${PUBLIC}`, 'line 1 of peers'],
  ])('an error names the line: %j', (text, says) => {
    expect(() => parsePeerKeys(text, 'peers')).toThrow(
      expect.objectContaining({ code: 'InvalidArgument', message: expect.stringContaining(says) }),
    )
  })

  test('come from a file', () => {
    const path = join(tempFolder(), 'peers')
    expect(() => readPeerKeys(path)).toThrow(
      expect.objectContaining({ code: 'InvalidArgument', message: expect.stringContaining(path) }),
    )
    writeFileSync(path, `${PUBLIC}\n`)
    expect(readPeerKeys(path)).toEqual(new Set([PUBLIC]))
  })
})

import { expect, test } from 'vitest'
import { describeProtocol } from '../../../src/wire/describe.js'
import {
  isWriting,
  readProtocolFile,
  renderMessages,
  writeProtocolFile,
} from '../../support/protocol-files.js'

const described = describeProtocol()
const numbers = [...described.requests, ...described.replies].map(({ number }) => number)

test('a protocol that changed has another version', () => {
  const text = readProtocolFile('schema.json')
  const recorded = text === undefined ? undefined : (JSON.parse(text) as typeof described)
  if (recorded?.version === described.version) {
    expect(
      described,
      'The messages changed and PROTOCOL_VERSION (src/wire/messages.ts) did not. Move it, tell of the change in ' +
        '"Versions" of protocol/README.md, then: npm run protocol. If that version was never released, delete ' +
        'protocol/schema.json instead, and run the same.',
    ).toEqual(recorded)
  } else if (isWriting) {
    expect(described.version, 'versions only grow').toBeGreaterThan(recorded?.version ?? 0)
    writeProtocolFile('schema.json', `${JSON.stringify(described, undefined, 2)}\n`)
  } else {
    expect(recorded?.version, 'protocol/schema.json is of another version: npm run protocol').toBe(
      described.version,
    )
  }
})

test('messages.md tells of the messages as they are', () => {
  const rendered = renderMessages(described)
  if (isWriting) writeProtocolFile('messages.md', rendered)
  expect(readProtocolFile('messages.md'), 'protocol/messages.md is stale: npm run protocol').toBe(rendered)
})

test('the README names every message and every error code, and the version', () => {
  const readme = readProtocolFile('README.md') ?? ''
  for (const { name, number } of [...described.requests, ...described.replies])
    expect(readme, `protocol/README.md does not tell of ${name} (${number})`).toContain(`\`${name}\``)
  const rows = new Map(
    [...readme.matchAll(/^\| `(\w+)` \| (yes|no) \|/gm)].map(([, code, retryable]) => [code, retryable]),
  )
  for (const { code, retryable } of described.errorCodes)
    expect(rows.get(code), `protocol/README.md on ${code}`).toBe(retryable ? 'yes' : 'no')
  expect(rows.size).toBe(described.errorCodes.length)
  expect(readme).toContain(`protocol version ${described.version}`)
})

test('no number is of two messages', () => {
  expect(new Set(numbers).size).toBe(numbers.length)
})

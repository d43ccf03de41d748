import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { LAYOUT_VERSION } from '../../../src/core/layout.js'
import { describePeerProtocol, describeProtocol } from '../../../src/wire/describe.js'
import { unpack } from '../../../src/wire/msgpack.js'
import {
  isWriting,
  readProtocolFile,
  renderMessages,
  renderPeerMessages,
  writeProtocolFile,
} from '../../support/protocol-files.js'

const described = describeProtocol()
const peers = describePeerProtocol()
const messages = [...described.requests, ...described.replies]
const peerMessages = [...peers.publications, ...peers.requests, ...peers.replies]

describe.each([
  ['schema.json', described, 'PROTOCOL_VERSION (src/wire/messages.ts)', 'README.md'],
  ['peer-schema.json', peers, 'PEER_VERSION (src/wire/peer-messages.ts)', 'peers.md'],
] as const)('%s', (file, now, version, page) => {
  test('a protocol that changed has another version', () => {
    const text = readProtocolFile(file)
    const recorded = text === undefined ? undefined : (JSON.parse(text) as typeof now)
    if (recorded?.version === now.version) {
      expect(
        now,
        `The messages changed and ${version} did not. Move it, tell of the change in "Versions" of protocol/${page}, ` +
          `then: npm run protocol. If that version was never released, delete protocol/${file} instead, and run the same.`,
      ).toEqual(recorded)
    } else if (isWriting) {
      expect(now.version, 'versions only grow').toBeGreaterThan(recorded?.version ?? 0)
      writeProtocolFile(file, `${JSON.stringify(now, undefined, 2)}\n`)
    } else {
      expect(recorded?.version, `protocol/${file} is of another version: npm run protocol`).toBe(now.version)
    }
  })
})

test.each([
  ['messages.md', renderMessages(described)],
  [
    'peer-messages.md',
    renderPeerMessages(
      peers,
      described.errorCodes.map(({ code }) => code),
    ),
  ],
])('%s tells of the messages as they are', (file, rendered) => {
  if (isWriting) writeProtocolFile(file, rendered)
  expect(readProtocolFile(file), `protocol/${file} is stale: npm run protocol`).toBe(rendered)
})

test('the README names every message and every error code, and the version', () => {
  const readme = readProtocolFile('README.md') ?? ''
  for (const { name, number } of messages)
    expect(readme, `protocol/README.md does not tell of ${name} (${number})`).toContain(`\`${name}\``)
  const rows = new Map(
    [...readme.matchAll(/^\| `(\w+)` \| (yes|no) \|/gm)].map(([, code, retryable]) => [code, retryable]),
  )
  for (const { code, retryable } of described.errorCodes)
    expect(rows.get(code), `protocol/README.md on ${code}`).toBe(retryable ? 'yes' : 'no')
  expect(rows.size).toBe(described.errorCodes.length)
  expect(readme).toContain(`protocol version ${described.version}`)
})

test('peers.md tells of every message between nodes, of every field, and of the version', () => {
  const page = readProtocolFile('peers.md') ?? ''
  const sections = new Map(
    [...page.matchAll(/^\*\*`(\w+)`\*\*([\s\S]*?)(?=^\*\*`|^#)/gm)].map(([, name, text]) => [
      name,
      text ?? '',
    ]),
  )
  for (const { name, fields } of peerMessages) {
    expect(sections.has(name), `protocol/peers.md has no paragraph on ${name}`).toBe(true)
    for (const { name: field } of fields)
      expect(sections.get(name), `protocol/peers.md on ${name}: ${field}`).toContain(`\`${field}\``)
  }
  expect([...sections.keys()].sort()).toEqual(peerMessages.map(({ name }) => name).sort())
  const state = page.slice(page.indexOf('## A state'))
  for (const { name: field } of peers.state) expect(state).toContain(`| \`${field}\``)
  expect(page).toContain(`peer version ${peers.version}`)
})

test('no number is of two messages', () => {
  for (const of of [messages, peerMessages])
    expect(new Set(of.map(({ number }) => number)).size).toBe(of.length)
})

test('storage-layout.md tells of every kind of record and every bucket, and of the layout', () => {
  const page = readFileSync(new URL('../../../docs/storage-layout.md', import.meta.url), 'utf8')
  const vectors = (name: string): readonly { readonly hex: string; readonly text: string }[] =>
    (JSON.parse(readProtocolFile(`vectors/${name}.json`) ?? '') as { vectors: never[] }).vectors
  for (const { hex } of vectors('records')) {
    const [, kind] = unpack(Buffer.from(hex, 'hex')) as [number, string]
    expect(page, `docs/storage-layout.md has no row for ${kind}`).toContain(`\n| \`${kind}\` |`)
  }
  for (const { text } of vectors('places')) {
    const [bucket = '', id = ''] = text.split(' ')
    const name = bucket.split('/')[0]!
    expect(page, `docs/storage-layout.md has no row for ${name}`).toMatch(new RegExp(`\\n\\| \`${name}[\`/]`))
    if (name === 'cluster') expect(page, `docs/storage-layout.md on ${id}`).toContain(`\`${id}\``)
  }
  expect(page).toContain(`This is layout ${LAYOUT_VERSION}.`)
})

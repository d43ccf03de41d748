import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type {
  DescribedFields,
  DescribedMessage,
  PeerProtocolDescription,
  ProtocolDescription,
} from '../../src/wire/describe.js'

/**
 * The files of protocol/ that are made or completed by a program. `npm run protocol` sets VIRGA_PROTOCOL to `write`: then
 * the tests write what they would otherwise compare.
 */
export const isWriting = process.env.VIRGA_PROTOCOL === 'write'

const folder = new URL('../../protocol/', import.meta.url)

export function readProtocolFile(name: string): string | undefined {
  try {
    return readFileSync(new URL(name, folder), 'utf8')
  } catch {
    return undefined
  }
}

export function writeProtocolFile(name: string, text: string): void {
  writeFileSync(fileURLToPath(new URL(name, folder)), text)
}

const TYPES = `Every message is an array: its number, the request number, then its fields in this order.

| type | what stands on the wire |
|---|---|
| \`uint\` | an integer from 0 to 2^53 - 1, in any of MessagePack's number formats |
| \`bool\`, \`str\`, \`bin\`, \`nil\` | as in MessagePack; text is valid UTF-8 |
| \`txn id\` | \`str\`: a UUIDv7 in lower case, 36 characters |
| \`attempt\` | \`str\`: 24 lower-case hex digits, the first 0 or 1 |
| \`origin\` | \`str\`: a node id (1 to 64 of \`A-Z a-z 0-9 . _ -\`), \`@\`, and 24 hex digits as in an attempt |
| \`"a" \\| "b"\` | \`str\`: one of these |
| \`[T]*\` | an array of any number of T |
| \`(T, U)\` | an array of exactly these |
| \`T or nil\` | T, or nil |
`

const HEAD = `# Messages

Made by \`npm run protocol\` from the schema in \`src/wire/messages.ts\`; a test fails if it is stale. What the messages mean is told
in the [README](README.md), and [schema.json](schema.json) holds the same as data.

${TYPES}`

const PEER_HEAD = `# Messages between nodes

Made by \`npm run protocol\` from the schema in \`src/wire/peer-messages.ts\` and \`src/wire/publications.ts\`; a test fails if it is stale.
What the messages mean is told in [peers.md](peers.md), and [peer-schema.json](peer-schema.json) holds the same as data.

${TYPES}`

/** protocol/messages.md: a table for each message. */
export function renderMessages({ version, requests, replies, errorCodes }: ProtocolDescription): string {
  const table = messageTable(errorCodes.map(({ code }) => code))
  return [
    HEAD,
    `This is protocol version ${version}.\n`,
    '## Requests, from executor to node\n',
    ...requests.map(table),
    '## Answers, from node to executor\n',
    ...replies.map(table),
  ].join('\n')
}

/** protocol/peer-messages.md: the same of the messages between nodes. */
export function renderPeerMessages(
  { version, publications, requests, replies, state }: PeerProtocolDescription,
  codes: readonly string[],
): string {
  const table = messageTable(codes)
  return [
    PEER_HEAD,
    `This is peer version ${version}.\n`,
    '## Publications, to whoever subscribes\n',
    ...publications.map(table),
    '## Requests, from node to node\n',
    ...requests.map(table),
    '## Answers\n',
    ...replies.map(table),
    '## A state\n',
    'What the pieces of `stated` make up, put together: one array of these.\n',
    `${fieldRows(state)}\n`,
  ].join('\n')
}

function messageTable(codes: readonly string[]): (message: DescribedMessage) => string {
  const allCodes = codes.map((code) => `"${code}"`).join(' | ')
  return ({ name, number, fields }) => `### ${name} (${number})\n\n${fieldRows(fields, allCodes)}\n`
}

function fieldRows(fields: DescribedFields, allCodes?: string): string {
  const rows = fields.map(({ name: field, type }) => {
    const shown =
      type === allCodes ? 'an [error code](README.md#errors)' : `\`${type.replaceAll('|', '\\|')}\``
    return `| \`${field}\` | ${shown} |`
  })
  return rows.length === 0 ? 'No fields.' : ['| field | type |', '|---|---|', ...rows].join('\n')
}

/** JSON that can hold byte strings, dates and big integers: as `{ "bin": hex }`, `{ "date": ms }`, `{ "int64": digits }`. */
export function revive(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revive)
  if (typeof value !== 'object' || value === null) return value
  const { bin, date, int64, times, of } = value as Record<string, unknown>
  if (typeof bin === 'string') return new Uint8Array(Buffer.from(bin, 'hex'))
  if (typeof date === 'number') return new Date(date)
  if (typeof int64 === 'string') return BigInt(int64)
  if (typeof times === 'number') return repeated(revive(of), times)
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, revive(item)]))
}

function repeated(of: unknown, times: number): unknown {
  return typeof of === 'string' ? of.repeat(times) : Array(times).fill(of)
}

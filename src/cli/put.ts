import { VirgaError } from '../errors.js'
import { limitExceeded } from '../limits.js'
import { type Arguments, parse } from './arguments.js'
import { type Command, EXIT } from './command.js'
import { UsageError } from './failure.js'
import { CLIENT_FLAGS, clientFlagsHelp, withNode } from './with-node.js'

/** The node has the last word on what a value may take; this keeps an endless pipe out of memory. */
const STDIN_BYTES_MAX = 64 * 1024 * 1024

export const put: Command = {
  help: () => `virga put KEY VALUE [--json | --raw] [OPTIONS]

Writes one value in a transaction of its own, as text if nothing else is said. The VALUE - reads standard input, all of
it, newlines too. A key or value that begins with a dash goes behind --: virga put -- -key -1

${clientFlagsHelp([
  ['--json', 'VALUE is JSON'],
  ['--raw', 'store bytes, not text'],
  ['--id ID', 'id of the transaction (a UUIDv7): however often this is run, it applies once'],
])}`,

  async run(args) {
    const flags = {
      ...CLIENT_FLAGS,
      json: { type: 'boolean' },
      raw: { type: 'boolean' },
      id: { type: 'string' },
    } as const
    const given = parse('put', args, flags, { min: 2, max: 2, names: 'KEY VALUE' })
    if (given.has('json') && given.has('raw'))
      throw new UsageError('--json and --raw exclude each other', 'put')
    const [key, text] = given.positionals
    const value = decodeInput(text === '-' ? await readStdin() : Buffer.from(text!), given)
    return withNode('put', given, async (virga) => {
      await virga.transaction((tx) => tx.put(key!, value), { id: given.text('id') })
      return EXIT.ok
    })
  },
}

function decodeInput(bytes: Uint8Array, given: Arguments): unknown {
  if (given.has('raw')) return bytes
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw new VirgaError('InvalidArgument', 'the value is not UTF-8: store it as bytes with --raw', { cause })
  }
  if (!given.has('json')) return text
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new UsageError(`the value is not JSON: ${(error as Error).message}`, 'put')
  }
}

async function readStdin(): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of process.stdin as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > STDIN_BYTES_MAX) throw limitExceeded('a value', size, STDIN_BYTES_MAX, 'bytes')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

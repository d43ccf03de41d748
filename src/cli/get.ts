import { parse } from './arguments.js'
import { type Command, EXIT } from './command.js'
import { UsageError } from './failure.js'
import { toJson } from './show.js'
import { CLIENT_FLAGS, clientFlagsHelp, withNode } from './with-node.js'

export const get: Command = {
  help: () => `virga get KEY [--json | --raw] [OPTIONS]

Prints the newest committed value of a key: text as it is, anything else as JSON, where bytes are
{"base64":"…"}. Exit code 3, and nothing printed, if there is no such key.
A key that begins with a dash goes behind --: virga get -- -key

${clientFlagsHelp([
  ['--json', 'print text as JSON too'],
  ['--raw', 'write text or bytes as they are, without a newline'],
])}`,

  run(args) {
    const flags = { ...CLIENT_FLAGS, json: { type: 'boolean' }, raw: { type: 'boolean' } } as const
    const given = parse('get', args, flags, { min: 1, max: 1, names: 'KEY' })
    const [key] = given.positionals
    if (given.has('json') && given.has('raw'))
      throw new UsageError('--json and --raw exclude each other', 'get')
    return withNode('get', given, async (virga) => {
      const value = await virga.get(key!)
      if (value === undefined) return EXIT.absent
      if (given.has('raw')) process.stdout.write(value instanceof Uint8Array ? value : asText(value))
      else process.stdout.write(`${given.has('json') ? toJson(value) : asText(value)}\n`)
      return EXIT.ok
    })
  },
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : toJson(value)
}

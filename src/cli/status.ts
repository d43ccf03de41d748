import { parse } from './arguments.js'
import { type Command, EXIT } from './command.js'
import { table } from './layout.js'
import { toJson } from './show.js'
import { CLIENT_FLAGS, clientFlagsHelp, withNode } from './with-node.js'

export const status: Command = {
  help: () => `virga status [ID] [OPTIONS]

Without an ID: that the node answers, and what it counts and holds. Fit for a health check: fails if it doesn't answer.
With the ID of a transaction: committed and its result, open (an attempt may yet commit), aborted (none will), or
expired (older than what is kept).

${clientFlagsHelp([['--json', 'print one JSON object']])}`,

  run(args) {
    const flags = { ...CLIENT_FLAGS, json: { type: 'boolean' } } as const
    const given = parse('status', args, flags, { min: 0, max: 1, names: 'at most the ID of a transaction' })
    const [id] = given.positionals
    return withNode('status', given, async (virga) => {
      const found = id === undefined ? await virga.inspect() : { id, ...(await virga.status(id)) }
      const rows = Object.entries(found).filter(([, value]) => value !== undefined)
      const text = table(
        rows.map(([name, value]) => [name, asText(value)]),
        0,
        Number.POSITIVE_INFINITY,
      )
      process.stdout.write(`${given.has('json') ? toJson(found) : text}\n`)
      return EXIT.ok
    })
  },
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : toJson(value)
}

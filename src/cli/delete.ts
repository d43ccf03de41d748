import { parse } from './arguments.js'
import { type Command, EXIT } from './command.js'
import { CLIENT_FLAGS, clientFlagsHelp, withNode } from './with-node.js'

export const remove: Command = {
  help: () => `virga delete KEY [OPTIONS]

Deletes a key, in a transaction of its own. One that is absent may be deleted as well.
A key that begins with a dash goes behind --: virga delete -- -key

${clientFlagsHelp([['--id ID', 'id of the transaction (a UUIDv7): however often this is run, it applies once']])}`,

  run(args) {
    const flags = { ...CLIENT_FLAGS, id: { type: 'string' } } as const
    const given = parse('delete', args, flags, { min: 1, max: 1, names: 'KEY' })
    const [key] = given.positionals
    return withNode('delete', given, async (virga) => {
      await virga.transaction((tx) => tx.delete(key!), { id: given.text('id') })
      return EXIT.ok
    })
  },
}

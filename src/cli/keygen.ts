import { formatKeyFile, writeKeyFile } from '../compose/key-file.js'
import { makeKeyPair } from '../transport/zeromq-keys.js'
import { parse } from './arguments.js'
import { type Command, EXIT } from './command.js'
import { table } from './layout.js'

export const keygen: Command = {
  help: () => `virga keygen [--out FILE]

Makes a new pair of keys for a node. With --out, writes both to a file that its user alone can read, and prints the public
key: nodes that keep a list of the peers they speak with need that one. Without, prints what would be in the file.

${table([['--out FILE', 'where the keys go; a file that exists is never overwritten']])}`,

  async run(args) {
    const given = parse('keygen', args, { out: { type: 'string' } }, { min: 0, max: 0, names: '' })
    const out = given.text('out')
    const pair = makeKeyPair()
    if (out === undefined) {
      process.stdout.write(formatKeyFile(pair))
      return EXIT.ok
    }
    writeKeyFile(out, pair)
    process.stdout.write(`${pair.publicKey}\n`)
    return EXIT.ok
  },
}

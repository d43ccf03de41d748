import { constants } from 'node:os'
import { destination, pino, stdTimeFunctions } from 'pino'
import { nodeSettings } from '../compose/node-options.js'
import { startNode } from '../compose/start-node.js'
import { VirgaError } from '../errors.js'
import type { Log } from '../ports/log.js'
import { parse } from './arguments.js'
import { type Command, EXIT } from './command.js'
import { openTrim } from './freed-memory.js'
import { giveBackGarbage } from './garbage.js'
import { givenNodeOptions, NODE_FLAGS, nodeFlagsHelp } from './node-flags.js'

const STDERR = 2

export const serve: Command = {
  help: () => `virga serve [OPTIONS]

Runs this machine's node until it gets SIGINT or SIGTERM. It then begins nothing more, lets open transactions
finish (--drain-ms-max), and ends. A second signal ends it at once; no acknowledged commit is lost by that.
Says on standard output when it serves; logs JSON to standard error.

Every option is a flag (--deadline-ms 60000), a variable (VIRGA_DEADLINE_MS=60000), and a key of the JSON file
({ "deadlineMs": 60000 }). A flag beats a variable, which beats the file.

${nodeFlagsHelp()}`,

  async run(args) {
    const given = givenNodeOptions(
      parse('serve', args, NODE_FLAGS, { min: 0, max: 0, names: '' }),
      process.env,
    )
    const { logLevel, ...settings } = nodeSettings(given)
    const log = pino(
      { level: logLevel, timestamp: stdTimeFunctions.isoTime },
      destination({ dest: STDERR, sync: true }),
    )
    const stopping = onSignal((signal) => log.warn({ signal }, 'ending at once'))
    const node = await startNode({ ...settings, log })
    stopping.arm()
    const { node: name, storage } = node.inspect()
    giveBackGarbage(await trimOf(log))
    process.stdout.write(`virga: node ${name} serves on ${node.socket} (${storage})\n`)
    const signal = await Promise.race([stopping.asked, node.ended.then((why) => ({ why }))])
    if (typeof signal === 'object') throw new VirgaError('Closed', signal.why ?? 'the node has stopped')
    log.info({ signal }, 'stopping when what is open has ended; the same signal again ends it at once')
    await node.stop()
    return EXIT.ok
  },
}

/** Without it the node only keeps more memory at rest than it needs. */
async function trimOf(log: Log): Promise<() => void> {
  try {
    return (await openTrim()) ?? (() => undefined)
  } catch (error) {
    log.warn({ err: error }, 'memory that was freed can not be given back to the system')
    return () => undefined
  }
}

/**
 * The first signal asks to stop, any further one ends the process. Handlers are there from the beginning, since a process
 * that is the first of its container gets no signal that it doesn't handle; a node that is still starting has nothing to
 * finish, so until it is armed, the first signal ends the process too.
 */
function onSignal(ending: (signal: NodeJS.Signals) => void): {
  arm(): void
  readonly asked: Promise<NodeJS.Signals>
} {
  let armed = false
  const { promise: asked, resolve } = withResolvers<NodeJS.Signals>()
  const handle = (signal: NodeJS.Signals): void => {
    if (armed) {
      armed = false
      resolve(signal)
      return
    }
    ending(signal)
    process.exit(128 + constants.signals[signal])
  }
  process.on('SIGINT', handle)
  process.on('SIGTERM', handle)
  return {
    asked,
    arm: () => {
      armed = true
    },
  }
}

/** Promise.withResolvers came with Node 22. */
function withResolvers<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve!: (value: T) => void
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

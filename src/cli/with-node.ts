import { existsSync } from 'node:fs'
import type { Virga } from '../client/virga.js'
import { connect } from '../compose/connect.js'
import { VirgaError } from '../errors.js'
import { checkSocketPath, defaultSocketPath } from '../platform/socket-path.js'
import { type Arguments, count, type Flags } from './arguments.js'
import { table } from './layout.js'

/** What every command has that talks to a running node. */

const TIMEOUT_MS = 5_000

export const CLIENT_FLAGS: Flags = {
  socket: { type: 'string' },
  'timeout-ms': { type: 'string' },
}

export function clientFlagsHelp(more: readonly (readonly [string, string])[] = []): string {
  return table([
    ...more,
    [
      '--socket PATH',
      "the node's socket (default: $VIRGA_SOCKET, else $XDG_RUNTIME_DIR/virga/node.sock, else virga-UID/node.sock in the folder for temporary files)",
    ],
    [
      '--timeout-ms N',
      `how long to wait for the node to greet, and for each answer (default: ${TIMEOUT_MS})`,
    ],
  ])
}

/** Connects, runs, and says goodbye. Rejects with `NodeUnavailable`, which names the socket, if nobody answers. */
export async function withNode(
  command: string,
  args: Arguments,
  run: (virga: Virga) => Promise<number>,
): Promise<number> {
  const socket = checkSocketPath(args.text('socket') ?? defaultSocketPath())
  const timeoutMs = count(command, 'timeout-ms', args.text('timeout-ms') ?? String(TIMEOUT_MS))
  // Nobody wants to wait for a socket that isn't there. One that is may be of a node that is restarting.
  if (!existsSync(socket)) throw new VirgaError('NodeUnavailable', `there is no socket ${socket}`)
  const virga = await connect({
    socket,
    connectTimeoutMs: timeoutMs,
    requestTimeoutMs: timeoutMs,
    commitTimeoutMs: timeoutMs,
    resolveTimeoutMs: timeoutMs,
  }).catch((error: unknown) => {
    if (!VirgaError.is(error) || error.code !== 'NodeUnavailable') throw error
    throw new VirgaError('NodeUnavailable', `no node answers on socket ${socket}`, { cause: error })
  })
  try {
    return await run(virga)
  } finally {
    await virga.close()
  }
}

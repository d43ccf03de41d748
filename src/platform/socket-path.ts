import { mkdirSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { VirgaError } from '../errors.js'

/** Kernels take about 104 bytes for the path of a local socket; the lock beside it takes 5 more. */
const PATH_BYTES_MAX = 98

/** $VIRGA_SOCKET, else `virga/node.sock` in the user's runtime folder, else in a folder of the user's own among the temporary ones. */
export function defaultSocketPath(env: NodeJS.ProcessEnv = process.env): string {
  const given = env.VIRGA_SOCKET
  if (given !== undefined && given !== '') return given
  const runtime = env.XDG_RUNTIME_DIR
  if (runtime !== undefined && runtime !== '') return join(runtime, 'virga', 'node.sock')
  return join(tmpdir(), `virga-${userInfo().uid}`, 'node.sock')
}

/** Throws `InvalidArgument` for a path that the kernel would refuse. */
export function checkSocketPath(path: string): string {
  const bytes = Buffer.byteLength(path)
  if (bytes === 0 || bytes > PATH_BYTES_MAX || path.includes('\0')) {
    throw new VirgaError(
      'InvalidArgument',
      `the path of a socket takes 1 to ${PATH_BYTES_MAX} bytes; ${path} takes ${bytes}`,
    )
  }
  return path
}

/** Makes the folder of a socket, for its user alone. One that exists is left as it is. Throws `InvalidArgument`. */
export function makeSocketFolder(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  } catch (cause) {
    const why = (cause as Error).message
    throw new VirgaError('InvalidArgument', `can't make the folder of the socket ${path}: ${why}`, { cause })
  }
}

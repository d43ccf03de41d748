// @ts-check
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { cleanUpBy, freePort, temporaryFolder } from './processes.mjs'

const USER = 'bench'
/** `nobody`: the server refuses to run as root. */
const UNPRIVILEGED_ID = 65_534
const CONNECTIONS_MAX = 300

/** As a Redis without persistence: nothing waits for a disk, nothing survives a crash of the machine. */
const SETTINGS = [
  ...[
    'fsync=off',
    'synchronous_commit=off',
    'full_page_writes=off',
    'wal_level=minimal',
    'max_wal_senders=0',
  ],
  // Functions write as they go, in any order: what deadlocks is found soon, not after a second.
  'deadlock_timeout=10ms',
  ...['shared_buffers=256MB', `max_connections=${CONNECTIONS_MAX}`, 'max_pred_locks_per_transaction=256'],
]

/**
 * A PostgreSQL of our own, or why there is none.
 *
 * @returns {Promise<{ user: string, port: number, pid: number } | { absent: string }>}
 */
export async function startPostgres() {
  const programs = findPrograms()
  if (programs === undefined)
    return { absent: 'no initdb and postgres found on the PATH or below /usr/lib/postgresql' }
  const folder = temporaryFolder()
  const asRoot = process.getuid?.() === 0
  if (asRoot) chownSync(folder, UNPRIVILEGED_ID, UNPRIVILEGED_ID)
  const identity = asRoot ? { uid: UNPRIVILEGED_ID, gid: UNPRIVILEGED_ID } : {}
  const data = join(folder, 'data')
  const made = spawnSync(
    join(programs, 'initdb'),
    [
      '--pgdata',
      data,
      '--auth',
      'trust',
      '--username',
      USER,
      '--no-sync',
      '--locale',
      'C',
      '--encoding',
      'UTF8',
    ],
    { cwd: folder, encoding: 'utf8', ...identity },
  )
  if (made.status !== 0) return { absent: `initdb failed: ${made.error ?? made.stderr.trim()}` }
  const port = await freePort()
  const settings = [
    ...SETTINGS,
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    `unix_socket_directories=${folder}`,
  ]
  const child = spawn(
    join(programs, 'postgres'),
    ['-D', data, ...settings.flatMap((setting) => ['-c', setting])],
    { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'], ...identity },
  )
  cleanUpBy(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    // At once: clients are gone or don't matter, and the folder is thrown away.
    child.kill('SIGQUIT')
    await once(child, 'exit')
  })
  const said = []
  for await (const line of createInterface({ input: child.stderr })) {
    if (line.includes('ready to accept connections')) {
      child.stderr.resume()
      return { user: USER, port, pid: /** @type {number} */ (child.pid) }
    }
    said.push(line)
  }
  return { absent: `the server did not start: ${said.slice(-3).join(' ')}` }
}

/** The folder that has both programs. */
function findPrograms() {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter),
    ...versions.map((version) => join(debian, version, 'bin')),
  ]
  return folders.find((folder) => ['initdb', 'postgres'].every((name) => existsSync(join(folder, name))))
}

// Builds the image, runs it, and uses it as an executor outside would: through the mounted socket folder.
// Run with `npm run test:docker`, which builds dist/ first. Needs a Docker engine.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const IMAGE_UID = 1000
const HEALTHY_WITHIN_MS = 90_000
const STOPS_WITHIN_S = 20

const root = fileURLToPath(new URL('../..', import.meta.url))
const name = `virga-test-${process.pid}`
const folder = mkdtempSync(join(tmpdir(), 'virga-docker-'))
const socketFolder = join(folder, 'run')
const dataFolder = join(folder, 'data')
const socket = join(socketFolder, 'node.sock')

/** Runs docker to its end; throws with all that it said if it failed. */
function docker(...args) {
  const { status, stdout, stderr, error } = spawnSync('docker', args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 2 ** 20,
  })
  if (error) throw error
  if (status !== 0) throw new Error(`docker ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`)
  return stdout.trim()
}

function say(text) {
  process.stdout.write(`${text}\n`)
}

function requireEngine() {
  const { status, stderr, error } = spawnSync('docker', ['info'], { encoding: 'utf8' })
  if (status === 0) return
  const why = error ? 'there is no docker command' : (stderr.trim().split('\n').at(-1) ?? '')
  say(`This test needs a Docker engine: ${why}`)
  say(
    'Install one (on Debian: apt-get install docker.io), start it, see that `docker info` answers, and run this again.',
  )
  rmSync(folder, { recursive: true, force: true })
  process.exit(1)
}

/** A container that shares this user's folders: as the image's own user if we may give them away, else as ours. */
function start() {
  mkdirSync(socketFolder, { mode: 0o700 })
  mkdirSync(dataFolder, { mode: 0o700 })
  const uid = process.getuid()
  const user = uid === 0 ? [] : ['--user', `${uid}:${process.getgid()}`]
  if (uid === 0) for (const path of [folder, socketFolder, dataFolder]) chownSync(path, IMAGE_UID, IMAGE_UID)
  const volumes = ['--volume', `${socketFolder}:/run/virga`, '--volume', `${dataFolder}:/var/lib/virga`]
  docker('run', '--detach', '--name', name, ...user, ...volumes, name)
  return uid === 0 ? IMAGE_UID : uid
}

/** Waits for the image's own health check to say so. */
async function healthy() {
  for (const until = Date.now() + HEALTHY_WITHIN_MS; Date.now() < until; await sleep(250)) {
    const [running, health] = docker(
      'inspect',
      '--format',
      '{{.State.Running}} {{.State.Health.Status}}',
      name,
    ).split(' ')
    if (running !== 'true') break
    if (health === 'healthy') return
  }
  throw new Error(`the container is not healthy; it said:\n${logs()}`)
}

function logs() {
  const { stdout, stderr } = spawnSync('docker', ['logs', '--tail', '50', name], { encoding: 'utf8' })
  return `${stdout}${stderr}`
}

function bytesOf(image) {
  return Number(docker('image', 'inspect', '--format', '{{.Size}}', image))
}

const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`

async function main() {
  const { connect, transactionId } = await import('virga')

  say('building the image …')
  // The host's network and proxy, since that is where the user's own npm works too.
  const proxies = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'].filter((key) => process.env[key])
  docker('build', '--network', 'host', ...proxies.flatMap((key) => ['--build-arg', key]), '--tag', name, '.')

  const uid = start()
  await healthy()
  say(`ok  it starts, and its own health check says so, as uid ${uid}`)
  assert.equal(docker('exec', name, 'node', '--print', 'process.getuid()'), String(uid))

  const id = transactionId('docker-test', new Date())
  const write = (virga, run) => virga.transaction(run, { id })
  const read = (virga) => virga.transaction((tx) => tx.getMany(['docker:a', 'docker:b']))

  await withClient(connect, async (virga) => {
    const result = await write(virga, async (tx) => {
      tx.put('docker:a', { paid: true })
      tx.put('docker:b', new Uint8Array([1, 2, 3]))
      return 'first'
    })
    assert.equal(result, 'first')
    assert.deepEqual(await read(virga), [{ paid: true }, new Uint8Array([1, 2, 3])])
  })
  say('ok  a transaction commits from outside, through the mounted socket folder, and reads back')

  const checkKept = async (after) => {
    await withClient(connect, async (virga) => {
      assert.deepEqual(await read(virga), [{ paid: true }, new Uint8Array([1, 2, 3])])
      const replayed = await write(virga, async () => assert.fail('the transaction ran again'))
      assert.equal(replayed, 'first')
    })
    say(`ok  ${after}: it is still there, and a retry has the first result`)
  }

  docker('restart', '-t', String(STOPS_WITHIN_S), name)
  await healthy()
  await checkKept('after a restart')

  docker('kill', '--signal', 'KILL', name)
  docker('start', name)
  await healthy()
  await checkKept('after kill -9 and a start')

  docker('stop', '-t', String(STOPS_WITHIN_S), name)
  assert.equal(
    docker('inspect', '--format', '{{.State.ExitCode}}', name),
    '0',
    `it did not stop by itself:\n${logs()}`,
  )
  say('ok  it stops by itself when told to')

  const base = /^ARG NODE_IMAGE=(\S+)$/m.exec(readFileSync(join(root, 'Dockerfile'), 'utf8'))[1]
  const [all, below] = [bytesOf(name), bytesOf(base)]
  say(`the image has ${mib(all)}: ${mib(below)} of ${base}, ${mib(all - below)} of virga`)
}

/** Connects, runs, and closes whatever happens. */
async function withClient(connect, run) {
  const virga = await connect({ socket })
  try {
    await run(virga)
  } finally {
    await virga.close()
  }
}

requireEngine()
try {
  await main()
  say('docker: all passed')
} catch (error) {
  say(`docker: FAILED: ${error.stack ?? error}`)
  process.exitCode = 1
} finally {
  spawnSync('docker', ['rm', '--force', '--volumes', name])
  spawnSync('docker', ['image', 'rm', '--force', name])
  rmSync(folder, { recursive: true, force: true })
}

import { once } from 'node:events'
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { VirgaError } from '../../src/errors.js'
import { type Serving, serving, startVirga, virga } from '../support/cli.js'
import { storageUrl, testClient } from '../support/nodes.js'
import { tempFolder } from '../support/temp.js'
import { until } from '../support/until.js'

/** `virga serve`: how it starts, what keeps it from starting, and how it ends. */

const nodeOf = async (node: Serving): Promise<Record<string, unknown>> =>
  JSON.parse((await virga(['status', '--json', '--socket', node.socket])).stdout.toString())

describe('starting', () => {
  test('says on standard output when it serves, and logs JSON to standard error', async () => {
    const node = await serving(['--node-id', 'here'])
    expect(node.stdout()).toMatch(new RegExp(`^virga: node here serves on ${node.socket} \\(.+\\)\\n$`))
    node.child.kill('SIGTERM')
    const { stdout, stderr } = await node.ended
    expect(stdout.toString().split('\n')).toHaveLength(2)
    const logged = stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { msg: string })
    expect(logged.map(({ msg }) => msg)).toEqual(expect.arrayContaining(['serving', 'stopped']))
  })

  test('--log-level silences', async () => {
    const node = await serving(['--log-level', 'silent'])
    node.child.kill('SIGTERM')
    expect(await node.ended).toMatchObject({ code: 0, stderr: '' })
  })

  test('a flag counts more than a variable, which counts more than the file', async () => {
    const config = join(tempFolder(), 'virga.json')
    writeFileSync(config, JSON.stringify({ nodeId: 'file', consistency: 'lww', keyBytesMax: 3 }))
    const env = { VIRGA_CONFIG: config, VIRGA_NODE_ID: 'variable', VIRGA_KEY_BYTES_MAX: '5' }
    const node = await serving(['--node-id', 'flag'], { env })
    expect(await nodeOf(node)).toMatchObject({ node: 'flag', consistency: 'lww' })
    const client = await testClient(node.socket)
    await client.transaction((tx) => tx.put('five5', 1))
    await expect(client.transaction((tx) => tx.put('sixsix', 1))).rejects.toThrow(/limit is 5/)

    const other = await serving(['--config', config])
    expect(await nodeOf(other)).toMatchObject({ node: 'file', consistency: 'lww' })
  })

  test("the socket is its user's alone", async () => {
    const node = await serving()
    expect(statSync(node.socket).mode & 0o777).toBe(0o600)
    expect(statSync(dirname(node.socket)).mode & 0o777).toBe(0o700)
  })

  test('the socket of a killed node does not stop a start', async () => {
    const storage = ['--storage', `lmdb:${join(tempFolder(), 'data')}`]
    const node = await serving(storage)
    expect((await virga(['put', 'a', 'kept', '--socket', node.socket])).code).toBe(0)
    node.child.kill('SIGKILL')
    await node.ended
    expect(existsSync(node.socket)).toBe(true)
    const again = await serving(storage, { socket: node.socket })
    expect((await virga(['get', 'a', '--socket', again.socket])).stdout.toString()).toBe('kept\n')
  })
})

describe('what keeps it from starting is named, in one line', () => {
  const refused = async (
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<{ code: number | null; stderr: string }> => {
    const socket = args.includes('--socket') ? [] : ['--socket', join(tempFolder(), 's')]
    const { code, stdout, stderr } = await virga(['serve', ...socket, ...args], { env })
    expect(stdout.toString()).toBe('')
    expect(stderr).toMatch(/^virga: .*\n$/)
    return { code, stderr }
  }

  test('a second node on the same socket; the first goes on', async () => {
    const node = await serving()
    const { code, stderr } = await refused(['--storage', 'memory:', '--socket', node.socket])
    expect(code).toBe(1)
    expect(stderr).toContain(`virga: Busy: another process holds ${node.socket}`)
    expect(stderr).toContain('choose another socket')
    expect((await virga(['put', 'a', 'b', '--socket', node.socket])).code).toBe(0)
  })

  test.each([
    [['--deadline-ms', '5s'], {}, '--deadline-ms: option deadlineMs'],
    [['--consistency', 'strict'], {}, '--consistency: option consistency'],
    [['--node-id', 'a b'], {}, 'a b'],
    [['--dead-line', '5'], {}, "'--dead-line'"],
    [[], { VIRGA_DEADLINE_MS: '5s' }, 'VIRGA_DEADLINE_MS: option deadlineMs'],
    [[], { VIRGA_DEADLINE: '5' }, 'VIRGA_DEADLINE,'],
    [['--config', 'missing.json'], {}, 'missing.json'],
    [['--storage', 'floppy:a'], {}, 'floppy:'],
    [['--storage', 'lmdb:'], {}, 'lmdb:'],
    [['--socket', `/tmp/${'x'.repeat(100)}`], {}, 'the path of a socket takes 1 to 98 bytes'],
  ])('%j %j', async (args, env, named) => {
    const { code, stderr } = await refused(args, env)
    expect(code).toBe(2)
    expect(stderr).toContain(named)
  })

  test('a key of the file, with the file', async () => {
    const config = join(tempFolder(), 'virga.json')
    writeFileSync(config, '{ "deadline": 5 }')
    const { code, stderr } = await refused(['--config', config])
    expect(code).toBe(2)
    expect(stderr).toContain(`${config}: deadline: there is no option deadline`)
  })

  test('storage that can not be opened', async () => {
    const file = join(tempFolder(), 'file')
    writeFileSync(file, '')
    const { code, stderr } = await refused(['--storage', `lmdb:${join(file, 'data')}`])
    expect(code).toBe(1)
    expect(stderr).toContain('virga: StorageUnavailable:')
    expect(stderr).toContain(file)
    expect(stderr).toContain('--storage')
  })

  test('storage that can not be reached, without its password', async () => {
    const { code, stderr } = await refused(['--storage', 'redis://user:geheim@127.0.0.1:1'])
    expect(code).toBe(1)
    expect(stderr).toContain('virga: StorageUnavailable:')
    expect(stderr).toContain('127.0.0.1:1')
    expect(stderr).not.toContain('geheim')
  })

  test('a folder that can not be made', async () => {
    const file = join(tempFolder(), 'file')
    writeFileSync(file, '')
    const { code, stderr } = await refused(['--storage', 'memory:', '--socket', join(file, 's')])
    expect(code).toBe(2)
    expect(stderr).toContain(file)
  })
})

describe('stopping', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s lets an open transaction finish, then ends with 0',
    async (signal) => {
      const storage = ['--storage', `lmdb:${join(tempFolder(), 'data')}`]
      const node = await serving(storage)
      const client = await testClient(node.socket)
      const tx = await client.begin()
      expect(await tx.get('a')).toBeUndefined()
      node.child.kill(signal)
      await until('the node stops', () => node.stderr().includes('"stopping"'))
      await expect(client.begin().then((late) => late.get('a'))).rejects.toMatchObject({
        code: 'ShuttingDown',
      })
      tx.put('a', 'in time')
      await tx.commit()
      expect(await node.ended).toMatchObject({ code: 0, signal: null })
      // Nobody waits for a node that is not coming back.
      expect(existsSync(node.socket)).toBe(false)

      const again = await serving(storage, { socket: node.socket })
      expect(await (await testClient(again.socket)).get('a')).toBe('in time')
    },
  )

  test('a transaction that does not end is waited for no longer than --drain-ms-max', async () => {
    const node = await serving(['--drain-ms-max', '200'])
    const client = await testClient(node.socket, { resolveTimeoutMs: 200 })
    const tx = await client.begin()
    tx.put('a', 1)
    await tx.get('b')
    node.child.kill('SIGTERM')
    expect(await node.ended).toMatchObject({ code: 0, signal: null })
    const error: unknown = await tx.commit().catch((thrown: unknown) => thrown)
    expect(VirgaError.is(error)).toBe(true)
  })

  test.each([
    ['SIGINT', 'SIGINT', 130],
    ['SIGTERM', 'SIGTERM', 143],
    ['SIGTERM', 'SIGINT', 130],
  ] as const)('%s, then %s: ends at once with %i', async (first, second, expected) => {
    const node = await serving(['--drain-ms-max', '60000'])
    const client = await testClient(node.socket)
    const tx = await client.begin()
    await tx.get('a')
    node.child.kill(first)
    await until('the node stops', () => node.stderr().includes('"stopping"'))
    node.child.kill(second)
    expect(await node.ended).toMatchObject({ code: expected, signal: null })
  })

  test('a signal before it serves ends it at once', async () => {
    // A storage that takes connections and never answers.
    const tarpit = createServer(() => undefined).listen(0, '127.0.0.1')
    await once(tarpit, 'listening')
    onTestFinished(() => void tarpit.close())
    const { port } = tarpit.address() as { port: number }
    const connected = once(tarpit, 'connection')
    const socket = join(tempFolder(), 's')
    const node = startVirga(['serve', '--socket', socket, '--storage', `redis://127.0.0.1:${port}`])
    await connected
    node.child.kill('SIGTERM')
    expect(await node.ended).toMatchObject({ code: 143, signal: null })
  })
})

test('a node whose id another one takes stops, says so, and fails', async () => {
  const storage = ['--storage', await storageUrl('redis'), '--node-id', 'one', '--lease-ttl-ms', '1000']
  const first = await serving(storage)
  const second = await serving(storage)
  const { code, stderr } = await first.ended
  expect(code).toBe(1)
  expect(stderr.trimEnd().split('\n').at(-1)).toMatch(
    /^virga: Closed: another node has taken the id of this one/,
  )
  expect(existsSync(first.socket)).toBe(false)
  expect(await nodeOf(second)).toMatchObject({ node: 'one' })
})

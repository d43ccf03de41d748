import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { transactionId } from '../../src/compose/transaction-id.js'
import { type Ended, ROOT, type Serving, serving, startVirga, virga } from '../support/cli.js'
import { testClient } from '../support/nodes.js'
import { tempFolder } from '../support/temp.js'

/** The commands that talk to a node, and what the command line says about itself. */

const text = (ended: Ended): string => ended.stdout.toString()

describe('about itself', () => {
  test('help names commands and exit codes', async () => {
    const ended = await virga(['help'])
    expect(ended).toMatchObject({ code: 0, stderr: '' })
    for (const name of ['serve', 'get', 'put', 'delete', 'status'])
      expect(text(ended)).toContain(`  ${name} `)
    expect(text(ended)).toMatch(/Exit codes\n +0 .*\n +1 .*\n +2 .*\n +3 .*/)
    expect(text(await virga(['--help']))).toBe(text(ended))
  })

  test.each(['serve', 'get', 'put', 'delete', 'status'])('help of %s, both ways', async (name) => {
    const [one, other] = await Promise.all([virga(['help', name]), virga([name, '--help'])])
    expect(one).toMatchObject({ code: 0, stderr: '' })
    expect(text(one)).toContain(`virga ${name} `)
    expect(text(other)).toBe(text(one))
    expect(text(one)).toContain('--socket ')
  })

  test('without a command: help on standard error, exit code 2', async () => {
    const ended = await virga([])
    expect(ended.code).toBe(2)
    expect(text(ended)).toBe('')
    expect(ended.stderr).toContain('virga COMMAND')
  })

  test('it runs by its own name in a checkout, where npm has installed nothing', () => {
    const { bin, version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      readonly bin: { readonly virga: string }
      readonly version: string
    }
    expect(execFileSync(join(ROOT, bin.virga), ['--version'], { encoding: 'utf8' })).toBe(`${version}\n`)
    const npx = execFileSync('npx', ['--no-install', 'virga', '--version'], { cwd: ROOT, encoding: 'utf8' })
    expect(npx).toBe(`${version}\n`)
  })

  test('its version is that of the package', async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    expect(text(await virga(['--version']))).toBe(`${version}\n`)
  })
})

test.each([
  [['frobnicate'], 'frobnicate'],
  [['help', 'frobnicate'], 'frobnicate'],
  [['get'], 'KEY'],
  [['get', 'a', 'b'], '"a" "b"'],
  [['put', 'a'], 'VALUE'],
  [['delete'], 'KEY'],
  [['status', 'a', 'b'], '"a" "b"'],
  [['serve', 'now'], '"now"'],
  [['get', 'a', '--colour'], '--colour'],
  [['get', 'a', '--timeout-ms', 'soon'], '--timeout-ms'],
  [['get', 'a', '--json', '--raw'], '--raw'],
  [['put', 'a', '{', '--json'], 'JSON'],
  [['put', 'a', '1', '--json', '--raw'], '--raw'],
  [['get', '-key'], "'--'"],
  [['get', 'a', '--socket', `/tmp/${'x'.repeat(100)}`], 'the path of a socket'],
])('a wrong command line (%j) is named, with exit code 2', async (args, named) => {
  const ended = await virga(args)
  expect(ended.code).toBe(2)
  expect(text(ended)).toBe('')
  expect(ended.stderr).toContain(named)
  expect(ended.stderr).toMatch(/^virga: .*\n$/)
})

describe('without a node', () => {
  test.each([['get', 'a'], ['put', 'a', 'b'], ['delete', 'a'], ['status']])(
    '%s says what to do',
    async (...args) => {
      const socket = join(tempFolder(), 's')
      const ended = await virga([...args, '--socket', socket])
      expect(ended.code).toBe(1)
      expect(ended.stderr).toContain(`virga: NodeUnavailable: there is no socket ${socket}. `)
      expect(ended.stderr).toContain('`virga serve`')
      expect(ended.stderr).toMatch(/^.*\n$/)
    },
  )

  test('a socket that nobody serves is given up after --timeout-ms', async () => {
    const node = await serving()
    node.child.kill('SIGKILL')
    await node.ended
    const ended = await virga(['get', 'a', '--socket', node.socket, '--timeout-ms', '300'])
    expect(ended.code).toBe(1)
    expect(ended.stderr).toContain(`virga: NodeUnavailable: no node answers on socket ${node.socket}. `)
  })
})

describe('with a node', () => {
  let node: Serving
  const on = (args: readonly string[], input?: string | Uint8Array): Promise<Ended> =>
    virga(args, { env: { VIRGA_SOCKET: node.socket }, ...(input === undefined ? {} : { input }) })

  beforeEach(async () => {
    node = await serving()
  })

  test('put, get, delete; the key is absent before and after', async () => {
    expect(await on(['get', 'a'])).toMatchObject({ code: 3, stderr: '', stdout: Buffer.alloc(0) })
    expect(await on(['put', 'a', 'some text'])).toMatchObject({
      code: 0,
      stderr: '',
      stdout: Buffer.alloc(0),
    })
    expect(text(await on(['get', 'a']))).toBe('some text\n')
    expect(await on(['delete', 'a'])).toMatchObject({ code: 0, stderr: '', stdout: Buffer.alloc(0) })
    expect((await on(['get', 'a'])).code).toBe(3)
    expect((await on(['delete', 'a'])).code).toBe(0)
  })

  test('--socket counts more than VIRGA_SOCKET', async () => {
    const socket = join(tempFolder(), 'nobody')
    const elsewhere = await virga(['status', '--socket', node.socket], { env: { VIRGA_SOCKET: socket } })
    expect(elsewhere.code).toBe(0)
    expect((await on(['status', '--socket', socket])).stderr).toContain(socket)
  })

  test.each(['-dash', '--json', ' ', 'a b\tc\nd', '"\'$(x)`\\', 'ключ/鍵/🌧️', 'constructor', '__proto__'])(
    'the key %j',
    async (key) => {
      expect(await on(['put', '--', key, `of ${key}`])).toMatchObject({ code: 0, stderr: '' })
      expect(text(await on(['get', '--', key]))).toBe(`of ${key}\n`)
      const client = await testClient(node.socket)
      expect(await client.get(key)).toBe(`of ${key}`)
      expect((await on(['delete', '--', key])).code).toBe(0)
      expect((await on(['get', '--', key])).code).toBe(3)
    },
  )

  test('keys as long as may be are taken, others are refused', async () => {
    const longest = 'x'.repeat(1024)
    expect((await on(['put', longest, 'v'])).code).toBe(0)
    expect(text(await on(['get', longest]))).toBe('v\n')
    expect(await on(['get', ''])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('virga: InvalidArgument:'),
    })
    const long = await on(['put', 'x'.repeat(1025), 'v'])
    expect(long).toMatchObject({ code: 1, stderr: expect.stringContaining('virga: LimitExceeded:') })
    expect(long.stderr).toContain('1025')
  })

  test('JSON goes in as a value, and comes out as JSON', async () => {
    const value = { a: [1, 2.5, -1, null, true], 'b c': { '': 'ü' } }
    expect((await on(['put', 'j', JSON.stringify(value), '--json'])).code).toBe(0)
    expect(await (await testClient(node.socket)).get('j')).toEqual(value)
    expect(JSON.parse(text(await on(['get', 'j'])))).toEqual(value)
    // Text that looks like JSON stays text.
    await on(['put', 't', '{"a":1}'])
    expect(text(await on(['get', 't']))).toBe('{"a":1}\n')
    expect(text(await on(['get', 't', '--json']))).toBe('"{\\"a\\":1}"\n')
  })

  test('what other clients store is shown: bytes, dates, 64-bit integers', async () => {
    const client = await testClient(node.socket)
    const at = new Date(1_700_000_000_000)
    await client.transaction((tx) => tx.put('v', { bytes: new Uint8Array([0, 255]), at, big: 2n ** 63n }))
    expect(JSON.parse(text(await on(['get', 'v'])))).toEqual({
      bytes: { base64: 'AP8=' },
      at: at.toISOString(),
      big: '9223372036854775808',
    })
  })

  test('bytes go through standard input and output untouched', async () => {
    const bytes = Buffer.concat([Buffer.from(Array.from({ length: 256 }, (_, i) => i)), randomBytes(2 ** 20)])
    expect((await on(['put', 'b', '-', '--raw'], bytes)).code).toBe(0)
    expect((await on(['get', 'b', '--raw'])).stdout.equals(bytes)).toBe(true)
    const stored = await (await testClient(node.socket)).get<Uint8Array>('b')
    expect(stored).toBeInstanceOf(Uint8Array)
    expect(bytes.equals(stored!)).toBe(true)
    expect(JSON.parse(text(await on(['get', 'b'])))).toEqual({ base64: bytes.toString('base64') })
  })

  test('text from standard input is taken as it is; bytes that are no text are not bent into some', async () => {
    await on(['put', 't', '-'], '\ufefftwo\nlines\n')
    expect(text(await on(['get', 't', '--raw']))).toBe('\ufefftwo\nlines\n')
    const ended = await on(['put', 't', '-'], Buffer.from([0x61, 0xff]))
    expect(ended).toMatchObject({ code: 2, stderr: expect.stringContaining('--raw') })
    expect(text(await on(['get', 't', '--raw']))).toBe('\ufefftwo\nlines\n')
  })

  test('under an id, a write applies once, and status tells', async () => {
    const id = transactionId('from the shell', Date.now())
    expect(text(await on(['status', id]))).toMatch(/^id +\S+\nstatus +open\n$/)
    expect((await on(['put', 'a', 'one', '--id', id])).code).toBe(0)
    expect((await on(['put', 'a', 'two', '--id', id])).code).toBe(0)
    expect((await on(['delete', 'a', '--id', id])).code).toBe(0)
    expect(text(await on(['get', 'a']))).toBe('one\n')
    expect(JSON.parse(text(await on(['status', id, '--json'])))).toMatchObject({ id, status: 'committed' })
    expect(await on(['status', 'no-id'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('"no-id"'),
    })
  })

  test('status shows the result of a transaction', async () => {
    const id = transactionId('with a result', Date.now())
    await (await testClient(node.socket)).transaction(() => ({ total: 7 }), { id })
    expect(text(await on(['status', id]))).toMatch(/^status +committed\nresult +\{"total":7\}$/m)
  })

  test('status of the node, for people and for programs', async () => {
    // Its key stays in the history: nothing is collected meanwhile.
    node = await serving(['--collect-every-ms', '60000'])
    await on(['put', 'a', 'b'])
    await on(['get', 'a'])
    const shown = JSON.parse(text(await on(['status', '--json']))) as Record<string, unknown>
    expect(shown).toMatchObject({ commits: 1, keys: 1, published: 1, consistency: 'read-atomic' })
    const rate = (hits: unknown, misses: unknown): string => {
      const all = Number(hits) + Number(misses)
      return all === 0 ? 'none yet' : `${((100 * Number(hits)) / all).toFixed(1)} %`
    }
    expect(Number(shown.keysRead) + Number(shown.viewReads)).toBeGreaterThan(0)
    expect(shown.viewHitRate).toBe(rate(shown.viewReads, shown.keysRead))
    expect(shown.cacheHitRate).toBe(rate(shown.cacheHits, shown.cacheMisses))
    const lines = text(await on(['status']))
      .trimEnd()
      .split('\n')
    expect(lines.map((line) => line.split(/ {2,}/)[0])).toEqual(Object.keys(shown))
  })

  test('a reader that has had enough is no error', async () => {
    const client = await testClient(node.socket)
    await client.transaction((tx) => tx.put('big', 'x'.repeat(8 * 2 ** 20)))
    const get = startVirga(['get', 'big', '--socket', node.socket])
    get.child.stdout.once('data', () => get.child.stdout.destroy())
    expect(await get.ended).toMatchObject({ code: 0, stderr: '' })
  })
})

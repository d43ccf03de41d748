import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { SLOW } from './support/slow-first.js'
import { CODE_RULES, type CodeRule } from './tidy/code-rules.js'
import { type Finding, parseSource } from './tidy/source.js'
import { ENTRIES } from './tidy/tables.js'
import {
  exactVersions,
  fileLength,
  LINES_MAX,
  leftOvers,
  markdownLinks,
  noMachines,
  wholeLock,
} from './tidy/text-rules.js'

/** The layout of the house, enforced. Each finding names file and line, and says what to do instead. */

const root = fileURLToPath(new URL('..', import.meta.url))
const NOT_OURS = new Set(['node_modules', 'dist', '.git', 'coverage', 'results', 'virga-data'])
const TEXT = /\.(ts|js|mjs|json|md|yml|yaml|sh|txt)$|^(\.ci\/run|Dockerfile|\.dockerignore|LICENSE)$/
const CODE = /\.(ts|mjs|js)$/
/** These two spell out what the rules look for. */
const SPELLED_OUT = new Set(['test/tidy.test.ts', 'test/tidy/text-rules.ts'])

const files = walk('').filter((path) => TEXT.test(path))

function walk(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (NOT_OURS.has(entry.name)) return []
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    return entry.isDirectory() ? walk(path) : entry.isFile() ? [path] : []
  })
}

function read(path: string): string | undefined {
  const full = join(root, path)
  if (!existsSync(full)) return undefined
  return statSync(full).isDirectory() ? '' : readFileSync(full, 'utf8')
}

function inFolders(...folders: readonly string[]): string[] {
  return files.filter((path) => folders.some((folder) => path.startsWith(`${folder}/`)))
}

/** Applies a rule to files, and fails with everything that it found. */
function expectTidy(
  paths: readonly string[],
  rule: (path: string, text: string) => readonly Finding[],
): void {
  const findings = paths.flatMap((path) => rule(path, read(path) ?? ''))
  expect(findings.map(({ path, line, says }) => `${path}:${line} ${says}`)).toEqual([])
}

describe('the tree', () => {
  test('is found at all', () => {
    expect(inFolders('src')).toContain('src/errors.ts')
    expect(files).toContain('package.json')
    expect(files).toContain('.ci/run')
  })

  test('has the entry points that the package exports', () => {
    const { exports } = JSON.parse(read('package.json') ?? '') as {
      exports: Record<string, { default?: string }>
    }
    const built = Object.values(exports).flatMap((entry) => (entry.default ? [entry.default] : []))
    expect(ENTRIES).toEqual(built.map((path) => path.replace(/^\.\/dist\/(.*)\.js$/, 'src/$1.ts')))
  })

  for (const [name, rule] of Object.entries(CODE_RULES)) {
    test(`${name} holds in src`, () => {
      expectTidy(inFolders('src'), (path, text) => rule(parseSource(path, text)))
    })
  }

  test(`no file is longer than ${LINES_MAX} lines`, () => {
    expectTidy(
      inFolders('src', 'test', 'bench', 'examples', 'scripts').filter((path) => CODE.test(path)),
      fileLength,
    )
  })

  test('no left-overs', () => {
    const folders = ['src', 'test', 'bench', 'examples', 'scripts', 'protocol']
    expectTidy(
      inFolders(...folders).filter((path) => !SPELLED_OUT.has(path)),
      leftOvers,
    )
  })

  test('no machine is named', () => {
    expectTidy(
      files.filter((path) => !SPELLED_OUT.has(path)),
      noMachines,
    )
  })

  test('every relative link in Markdown resolves', () => {
    expectTidy(
      files.filter((path) => path.endsWith('.md')),
      (path, text) => markdownLinks(path, text, read),
    )
  })

  test('the test files that start first are there', () => {
    expect(SLOW.filter((path) => !files.includes(path))).toEqual([])
  })

  test('dependencies are pinned', () => {
    expectTidy(['package.json'], exactVersions)
  })

  test('the lock is whole', () => {
    expectTidy(['package-lock.json'], wholeLock)
  })
})

/** What a rule says about one made-up file, without the place. */
function says(rule: CodeRule, path: string, text: string): string[] {
  return rule(parseSource(path, text)).map((finding) => finding.says)
}

describe('the rules themselves', () => {
  const { arrows, adaptersApart, packagesAtHome, pureCore, timeThroughPorts, barrelsAtEntries } =
    CODE_RULES as Record<string, CodeRule> & typeof CODE_RULES

  test.each([
    ['src/core/a.ts', `import type { Clock } from '../ports/clock.js'`, 'core imports ports'],
    ['src/core/a.ts', `import { hash } from 'node:crypto'`, `core imports 'node:crypto'`],
    ['src/core/a.ts', `import { pack } from 'msgpackr'`, `core imports 'msgpackr'`],
    ['src/core/a.ts', `type A = import('../node/a.js').A`, 'core imports node'],
    ['src/ports/a.ts', `import { a } from '../core/a.js'`, 'ports imports core'],
    ['src/errors.ts', `import { a } from './core/a.js'`, 'leaf imports core'],
    ['src/wire/a.ts', `import { a } from '../ports/a.js'`, 'wire imports ports'],
    ['src/storage/redis.ts', `import { a } from '../wire/a.js'`, 'storage imports wire'],
    ['src/node/a.ts', `export { a } from '../storage/lmdb.js'`, 'node imports storage'],
    ['src/node/a.ts', `import { startNode } from '../compose/node.js'`, 'node imports entry'],
    ['src/client/a.ts', `const { a } = await import('../node/a.js')`, 'client imports node'],
    ['src/client/a.ts', `const a = require('../node/a.js')`, 'client imports node'],
    ['src/client/a.ts', 'const a = await import(name)', 'computed name'],
    ['src/client/a.ts', `import { connect } from 'virga'`, 'its own package'],
    ['src/client/a.ts', `import { a } from '../../test/support/a.js'`, 'outside the folders of src'],
    ['src/testing/a.ts', `import { a } from '../cli/a.js'`, 'testing imports cli'],
    ['src/compose/a.ts', `import { a } from '../testing/a.js'`, 'compose imports testing'],
    ['src/node/a.ts', `import { a } from '../compose/a.js'`, 'node imports compose'],
    ['src/index.ts', `export { main } from './cli/main.js'`, 'entry imports cli'],
    ['src/helpers/a.ts', '', 'a folder that the arrows do not know'],
  ])('arrows: %s: %s', (path, text, expected) => {
    expect(says(arrows!, path, text)).toEqual([expect.stringContaining(expected)])
  })

  test('arrows: lets pass what points inwards', () => {
    const allowed: readonly [string, string][] = [
      ['src/core/a.ts', `import { VirgaError } from '../errors.js'\nimport { b } from './b.js'`],
      ['src/wire/a.ts', `import type { b } from '../core/b.js'\nimport { Packr } from 'msgpackr'`],
      ['src/node/a.ts', `import { b } from '../core/b.js'\nimport type { Clock } from '../ports/clock.js'`],
      ['src/compose/node.ts', `const { b } = await import('../storage/lmdb.js')`],
      [
        'src/cli/main.ts',
        `import { startNode } from '../compose/node.js'\nimport { parseArgs } from 'node:util'`,
      ],
      ['src/core/b.ts', `// import { a } from '../node/a.js'\nconst text = "import a from '../node/a.js'"`],
    ]
    for (const [path, text] of allowed) expect(says(arrows!, path, text)).toEqual([])
  })

  test('adapters: none imports another; helpers are for all', () => {
    expect(says(adaptersApart!, 'src/storage/redis-cluster.ts', `import { a } from './lmdb.js'`)).toEqual([
      expect.stringContaining('adapter redis imports adapter lmdb'),
    ])
    expect(
      says(adaptersApart!, 'src/transport/memory.ts', `import { a } from './zeromq-queue.js'`),
    ).toHaveLength(1)
    expect(
      says(
        adaptersApart!,
        'src/storage/redis.ts',
        `import { a } from './redis-scripts.js'\nimport { b } from './checks.js'`,
      ),
    ).toEqual([])
  })

  test.each([
    ['src/node/a.ts', `import { Dealer } from 'zeromq'`, 'src/transport/zeromq*'],
    ['src/transport/memory.ts', `import zmq from 'zeromq/draft'`, 'src/transport/zeromq*'],
    ['src/storage/memory.ts', `import { open } from 'lmdb'`, 'src/storage/lmdb*'],
    ['src/storage/redistribute.ts', `import { Redis } from 'ioredis'`, 'src/storage/redis*'],
    ['src/cli/main.ts', `const { Redis } = await import('ioredis')`, 'src/storage/redis*'],
  ])('packages: %s: %s', (path, text, expected) => {
    expect(says(packagesAtHome!, path, text)).toEqual([expect.stringContaining(expected)])
  })

  test('packages: are welcome at home', () => {
    expect(
      says(packagesAtHome!, 'src/transport/zeromq-listener.ts', `import { Router } from 'zeromq'`),
    ).toEqual([])
    expect(
      says(
        packagesAtHome!,
        'src/storage/redis.ts',
        `import { Redis } from 'ioredis'\nimport { lmdbx } from 'lmdbx'`,
      ),
    ).toEqual([])
  })

  test.each([
    ['export async function a() {}', 'async'],
    ['const a = async () => 1', 'async'],
    ['class A { async b() {} }', 'async'],
    ['for await (const a of b) a()', 'await'],
    ['export type A = Promise<number>', 'Promise'],
    ['const a = Promise.resolve(1)', 'Promise'],
    [`const a = import('./b.js')`, 'import()'],
    ['const a = Date.now()', 'Date'],
    ['const a = new Date(0)', 'Date'],
    ['const a = Math.random()', 'Math.random'],
    [`const a = Math['random']()`, 'Math.random'],
    ['const a = performance.now()', 'performance'],
    ['const a = process.pid', 'process'],
    ['const a = { process }', 'process'],
    ['const a = globalThis.b', 'globalThis'],
    ['setTimeout(a, 1)', 'setTimeout'],
    ['let a: ReturnType<typeof setInterval>', 'setInterval'],
    ['queueMicrotask(a)', 'queueMicrotask'],
    ['console.log(1)', 'console'],
  ])('pure core: %s', (text, expected) => {
    expect(says(pureCore!, 'src/core/a.ts', text)).toContainEqual(
      expect.stringContaining(`core uses ${expected};`),
    )
    expect(says(pureCore!, 'src/node/a.ts', text)).toEqual([])
  })

  test('pure core: words in comments, strings, keys and members are no uses', () => {
    const text = `// await Date.now()\nconst a = { process: 1, date: 'Date.now()' }\nb.process(a.performance, \`\${a.process} async\`)`
    expect(says(pureCore!, 'src/core/a.ts', text)).toEqual([])
  })

  test.each([
    ['Date.now()', 'Date.now'],
    ['const { now } = { now: Date.now }', 'Date.now'],
    ['new Date()', 'new Date()'],
    ['Date()', 'Date()'],
    ['Math.random()', 'Math.random'],
    ['performance.now()', 'performance'],
    ['setTimeout(a, 1)', 'setTimeout'],
    ['setInterval(a, 1)', 'setInterval'],
    ['setImmediate(a)', 'setImmediate'],
    ['AbortSignal.timeout(5)', 'AbortSignal.timeout'],
    ['process.hrtime()', 'process.hrtime'],
    [`import { randomBytes } from 'node:crypto'`, 'randomBytes'],
    [`import crypto from 'node:crypto'\ncrypto.randomUUID()`, 'randomUUID'],
    [`import { setTimeout as sleep } from 'node:timers/promises'`, 'node:timers/promises'],
    [`import { performance as p } from 'node:perf_hooks'`, 'node:perf_hooks'],
  ])('time through ports: %s', (text, expected) => {
    for (const path of [
      'src/node/a.ts',
      'src/storage/memory.ts',
      'src/transport/zeromq.ts',
      'src/client/a.ts',
      'src/errors.ts',
      'src/index.ts',
    ]) {
      expect(says(timeThroughPorts!, path, text)).toContainEqual(expect.stringContaining(expected))
    }
    expect(says(timeThroughPorts!, 'src/platform/clock.ts', text)).toEqual([])
  })

  test('time through ports: a given date, a port called clock and other cryptography are fine', () => {
    const text = `import { createHmac } from 'node:crypto'\nnew Date(5)\nDate.parse(a)\nclock.now()\nclock.timer(5, a)\nrandom.bytes(8)`
    expect(says(timeThroughPorts!, 'src/node/a.ts', text)).toEqual([])
  })

  test('barrels: only at the entry points', () => {
    expect(says(barrelsAtEntries!, 'src/core/index.ts', '')).toEqual([
      expect.stringContaining('is an index.ts'),
    ])
    expect(says(barrelsAtEntries!, 'src/core/a.ts', `export * from './b.js'`)).toEqual([
      expect.stringContaining('re-exports'),
    ])
    expect(says(barrelsAtEntries!, 'src/core/a.ts', `export { b } from './b.js'`)).toHaveLength(1)
    expect(
      says(barrelsAtEntries!, 'src/core/a.ts', `export { b } from './b.js'\nexport const a = 1`),
    ).toEqual([])
    expect(says(barrelsAtEntries!, 'src/core/a.ts', 'const b = 1\nexport { b }')).toEqual([])
    for (const entry of ENTRIES) expect(says(barrelsAtEntries!, entry, `export * from './b.js'`)).toEqual([])
  })

  test('findings carry the line', () => {
    expect(pureCore!(parseSource('src/core/a.ts', '\n\nconst a = Date.now()\n'))[0]).toMatchObject({
      path: 'src/core/a.ts',
      line: 3,
    })
    expect(arrows!(parseSource('src/core/a.ts', `\nimport 'node:fs'`))[0]).toMatchObject({ line: 2 })
  })

  test('file length', () => {
    expect(fileLength('a.ts', 'x\n'.repeat(LINES_MAX))).toEqual([])
    expect(fileLength('a.ts', 'x\n'.repeat(LINES_MAX + 1))).toHaveLength(1)
  })

  test.each([
    '// TODO: later',
    '/* FIXME */',
    `test.skip('a', b)`,
    `describe.only('a', b)`,
    `it.concurrent.only('a', b)`,
    `test.todo('a')`,
    'test.skipIf(a)("b", c)',
    'context.skip()',
    'context.skip(isMissing)',
  ])('left-overs: %s', (text) => {
    expect(leftOvers('test/a.test.ts', text)).toHaveLength(1)
  })

  test('left-overs: a test may skip itself with a reason', () => {
    const text = `context.skip('no redis-server on the PATH')\ncontext.skip(!found, 'no engine')\nconst todos = bytes.subarray(1)`
    expect(leftOvers('test/a.test.ts', text)).toEqual([])
    expect(leftOvers('src/a.ts', 'cursor.skip(length)')).toEqual([])
  })

  test.each([
    `'/home/ann/virga'`,
    '/Users/ann',
    'cd /root/x',
    `"C:\\Users\\ann"`,
    'https://registry.example.org/a',
    '"resolved": "https://…"',
  ])('machines: %s', (text) => {
    expect(noMachines('a.md', `first\n${text}`)).toEqual([expect.objectContaining({ line: 2 })])
  })

  test('machines: relative paths and home pages are fine', () => {
    expect(
      noMachines('a.md', './src/home/a.ts https://example.org/home/ann /var/lib/virga ~/.config'),
    ).toEqual([])
  })

  test('Markdown links', () => {
    const tree: Record<string, string> = {
      'README.md': '# Hello, *World*!\n```\n# not a heading\n```\n',
      docs: '',
      'docs/a.md': '## Two words',
    }
    const check = (text: string) =>
      markdownLinks('docs/b.md', text, (path) => tree[path]).map((finding) => finding.says)
    expect(
      check(
        '[a](a.md) [b](../README.md#hello-world) [c](.) [d](https://example.org/x) [e](a.md#two-words "title")',
      ),
    ).toEqual([])
    expect(check('`[a](missing.md)`\n```\n[a](missing.md)\n```')).toEqual([])
    expect(check('[a](missing.md)')).toEqual([expect.stringContaining('no docs/missing.md')])
    expect(check('[a](../README.md#not-a-heading)')).toEqual([expect.stringContaining('no such heading')])
    expect(check('[a]: missing.md')).toHaveLength(1)
  })

  test('pinned versions', () => {
    const manifest = {
      dependencies: { a: '1.2.3' },
      devDependencies: { b: '^1.2.3', c: '1.2.3-beta.1' },
      peerDependencies: { d: '>=3' },
    }
    expect(exactVersions('package.json', JSON.stringify(manifest, null, 2))).toEqual([
      { path: 'package.json', line: 6, says: expect.stringContaining('b is at "^1.2.3"') },
    ])
  })

  test('whole lock', () => {
    const optionalDependencies = { 'b-linux': '1.0.0', 'b-darwin': '1.0.0' }
    const lock = (packages: object) => wholeLock('package-lock.json', JSON.stringify({ packages }, null, 2))
    expect(lock({ 'node_modules/a': { optionalDependencies }, 'node_modules/b-linux': {} })).toEqual([
      { path: 'package-lock.json', line: 6, says: expect.stringContaining('b-darwin 1.0.0 has no entry') },
    ])
    const nested = 'node_modules/a/node_modules/b'
    const whole = {
      [nested]: { optionalDependencies },
      'node_modules/a/node_modules/b-linux': {},
      'node_modules/b-darwin': {},
    }
    expect(lock(whole)).toEqual([])
  })
})

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { noMachines } from '../tidy/text-rules.js'

/** The package as its users get it: packed, installed into an empty project, and used from there. */

const root = fileURLToPath(new URL('../..', import.meta.url))
const project = mkdtempSync(join(tmpdir(), 'virga-package-'))
const installed = join(project, 'node_modules', 'virga')

interface Packed {
  readonly filename: string
  readonly files: readonly { readonly path: string }[]
}
let published: readonly string[] = []

beforeAll(() => {
  // dist/ is fresh: the setup of this test project builds it. So no script needs to run while packing.
  const packed = run(root, 'npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', project])
  const [tarball] = JSON.parse(packed) as Packed[]
  if (!tarball) throw new Error(`npm pack named no tarball: ${packed}`)
  published = tarball.files.map((file) => file.path)

  writeFileSync(
    join(project, 'package.json'),
    JSON.stringify({ name: 'consumer', private: true, type: 'module' }),
  )
  const types = (
    JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      devDependencies: Record<string, string>
    }
  ).devDependencies['@types/node']
  // Without install scripts, as more and more users have it: the native packages must load all the same.
  const options = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error']
  run(project, 'npm', ['install', ...options, `./${tarball.filename}`, `@types/node@${types}`])
})

afterAll(() => {
  rmSync(project, { recursive: true, force: true })
})

/** Runs to its end and returns its output; throws with all that it said if it failed. */
function run(cwd: string, command: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    timeout: 150_000,
  })
  if (error) throw error
  if (status !== 0)
    throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${stdout}\n${stderr}`)
  return stdout
}

test('publishes what users need', () => {
  const needed = [
    'package.json',
    'README.md',
    'LICENSE',
    'CHANGELOG.md',
    'protocol/README.md',
    'dist/cli/main.js',
  ]
  const entries = ['dist/index', 'dist/compose/node', 'dist/testing/index'].flatMap((path) => [
    `${path}.js`,
    `${path}.d.ts`,
  ])
  expect(published).toEqual(expect.arrayContaining([...needed, ...entries]))
})

test('publishes nothing else: no sources, tests, benchmarks or left-overs of an earlier build', () => {
  const allowed =
    /^(dist\/.+\.(js|js\.map|d\.ts)|protocol\/.+|README\.md|LICENSE|CHANGELOG\.md|package\.json)$/
  expect(published.filter((path) => !allowed.test(path))).toEqual([])

  const sourceOf = (path: string): string =>
    join(root, 'src', `${path.slice('dist/'.length).replace(/(\.d\.ts|\.js|\.js\.map)$/, '')}.ts`)
  const built = published.filter((path) => path.startsWith('dist/'))
  expect(built.filter((path) => !existsSync(sourceOf(path)))).toEqual([])
})

test('names no package registry and no machine', () => {
  const findings = published.flatMap((path) => noMachines(path, readFileSync(join(installed, path), 'utf8')))
  expect(findings).toEqual([])
})

test.each([
  ['virga', ['connect', 'transactionId', 'VirgaError']],
  ['virga/node', ['startNode']],
  ['virga/testing', []],
] as const)('%s is imported in an empty project', (specifier, names) => {
  const script = `import * as all from '${specifier}'; console.log(JSON.stringify(Object.keys(all)))`
  const exported = JSON.parse(
    run(project, process.execPath, ['--input-type=module', '--eval', script]),
  ) as string[]
  expect(exported).toEqual(expect.arrayContaining([...names]))
  expect(exported.length).toBeGreaterThan(0)
})

test('nothing but the entry points can be imported', () => {
  const script = `await import('virga/dist/core/ids.js')`
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: project,
    encoding: 'utf8',
  })
  expect(stderr).toContain('ERR_PACKAGE_PATH_NOT_EXPORTED')
  expect(status).not.toBe(0)
})

test('npx virga runs', () => {
  const help = run(project, 'npx', ['--no-install', 'virga', '--help'])
  for (const command of ['serve', 'get', 'put', 'delete', 'status']) expect(help).toContain(command)
})

test('a TypeScript consumer compiles, and its mistakes do not', () => {
  const source = join(project, 'source')
  mkdirSync(source, { recursive: true })
  writeFileSync(
    join(source, 'right.ts'),
    `import { connect, transactionId, VirgaError } from 'virga'
import { startNode } from 'virga/node'
import * as testing from 'virga/testing'

export async function pay(socket: string): Promise<number> {
  const virga = await connect({ socket })
  try {
    return await virga.transaction(
      async (tx) => {
        const cart = await tx.get<{ readonly total: number }>('cart:42')
        tx.put('cart:42', { total: 0 })
        return cart?.total ?? 0
      },
      { id: transactionId('order-42', new Date(0)) },
    )
  } catch (error) {
    if (error instanceof VirgaError && error.retryable) return -1
    throw error
  } finally {
    await virga.close()
  }
}
export const start: typeof startNode = startNode
export const names: string[] = Object.keys(testing)
`,
  )
  writeFileSync(
    join(source, 'wrong.ts'),
    `import { connect, VirgaError } from 'virga'
export const a: number = connect
export const b = (error: VirgaError): number => error.code
export { nothingOfThisName } from 'virga/node'
`,
  )
  const tsconfig = {
    compilerOptions: {
      strict: true,
      module: 'nodenext',
      target: 'es2023',
      lib: ['es2023', 'esnext.disposable'],
      types: ['node'],
      skipLibCheck: true,
      noEmit: true,
    },
    include: ['.'],
  }
  writeFileSync(join(source, 'tsconfig.json'), JSON.stringify(tsconfig))
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const { stdout } = spawnSync(process.execPath, [tsc, '-p', source, '--pretty', 'false'], {
    cwd: project,
    encoding: 'utf8',
  })
  const errors = stdout.split('\n').filter((line) => line.includes('error TS'))
  expect(errors.filter((line) => !line.includes('wrong.ts'))).toEqual([])
  // Three mistakes, three errors: types that had silently become \`any\` would let them pass.
  expect(errors.map((line) => /error (TS\d+)/.exec(line)?.[1])).toEqual(['TS2322', 'TS2322', 'TS2305'])
})

test('npm finds no dependency missing or in conflict', () => {
  run(project, 'npm', ['ls', '--omit=dev', '--all'])
})

import { basename } from 'node:path'
import {
  type Finding,
  isNamed,
  isNode,
  referenceName,
  resolveImport,
  type SourceFile,
  type SyntaxNode,
} from './source.js'
import { ADAPTERS, ARROWS, ENTRIES, MAY_TOUCH_TIME, PACKAGE_HOMES, type Zone } from './tables.js'

/** A rule about one parsed file under src/. */
export type CodeRule = (file: SourceFile) => Finding[]

/** The zone of a path; undefined outside src, or in a folder of src that the table of arrows does not know. */
export function zoneOf(path: string): Zone | undefined {
  if (ENTRIES.includes(path)) return 'entry'
  const parts = path.split('/')
  if (parts[0] !== 'src') return undefined
  if (parts.length === 2) return 'leaf'
  const folder = parts[1] as string
  return folder in ARROWS && folder !== 'leaf' && folder !== 'entry' ? (folder as Zone) : undefined
}

/** Imports point inwards: see ARROWS. */
export const arrows: CodeRule = (file) => {
  const from = zoneOf(file.path)
  if (!from) {
    return [
      {
        path: file.path,
        line: 1,
        says: 'is in a folder that the arrows do not know; add the folder to ARROWS in test/tidy/tables.ts and to CONTRIBUTING.md',
      },
    ]
  }
  return file.imports.flatMap(({ specifier, line }) => {
    const found = (says: string): Finding[] => [{ path: file.path, line, says }]
    if (specifier === '') return found('imports a computed name, so nobody can tell what; write the name out')
    if (specifier === 'virga' || specifier.startsWith('virga/'))
      return found(`imports its own package by name; import the file itself`)
    const target = resolveImport(file.path, specifier)
    if (target === undefined) {
      const isPure = from === 'core' || from === 'ports'
      return isPure
        ? found(
            `${from} imports '${specifier}'; it may import only itself and leaves: have the caller pass in what it needs`,
          )
        : []
    }
    const to = zoneOf(target)
    if (!to)
      return found(`imports '${specifier}', which is outside the folders of src; move the code into one`)
    if (to === from || ARROWS[from].includes(to)) return []
    return found(
      `${from} imports ${to} ('${specifier}'); it may import ${['itself', ...ARROWS[from]].join(', ')}: put a port between, or move the shared part inwards`,
    )
  })
}

/** Adapters are exchangeable, so none knows another. */
export const adaptersApart: CodeRule = (file) => {
  const from = adapterOf(file.path)
  if (!from) return []
  return file.imports.flatMap(({ specifier, line }) => {
    const to = adapterOf(resolveImport(file.path, specifier) ?? '')
    if (!to || to === from) return []
    return [
      {
        path: file.path,
        line,
        says: `adapter ${from} imports adapter ${to}; move what they share into a file of its own, named after neither`,
      },
    ]
  })
}

function adapterOf(path: string): string | undefined {
  const zone = zoneOf(path)
  const names = zone && ADAPTERS[zone]
  return names?.find((name) => new RegExp(`^${name}(?![a-z])`).test(path.split('/')[2] ?? ''))
}

/** Each native or network package is wrapped once. */
export const packagesAtHome: CodeRule = (file) =>
  file.imports.flatMap(({ specifier, line }) => {
    const entry = PACKAGE_HOMES.find(({ name }) => specifier === name || specifier.startsWith(`${name}/`))
    if (!entry || entry.home.test(file.path)) return []
    return [
      {
        path: file.path,
        line,
        says: `imports ${entry.name}, which only ${entry.where} may; use the port it stands behind`,
      },
    ]
  })

const CORE_FORBIDS = new Set([
  'Promise',
  'PromiseLike',
  'AsyncIterable',
  'AsyncIterableIterator',
  'AsyncGenerator',
  'Date',
  'performance',
  'process',
  'globalThis',
  'global',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'clearTimeout',
  'clearInterval',
  'clearImmediate',
  'queueMicrotask',
  'console',
  'crypto',
  'fetch',
  'require',
])

/** Core decides and never waits: it is synchronous, and sees neither clock, nor dice, nor the machine. */
export const pureCore: CodeRule = (file) => {
  if (zoneOf(file.path) !== 'core') return []
  return file.nodes.flatMap(({ node, parent }) => {
    const what =
      waitsFor(node) ?? named(node, parent) ?? (isMember(node, 'Math', 'random') ? 'Math.random' : undefined)
    if (!what) return []
    return [
      {
        path: file.path,
        line: file.lineOf(node),
        says: `core uses ${what}; take the value as an argument, or return what the caller is to do`,
      },
    ]
  })
}

function waitsFor(node: SyntaxNode): string | undefined {
  if (node.type === 'AwaitExpression' || node.await === true || node.kind === 'await using') return 'await'
  if (node.async === true) return 'async'
  return node.type === 'ImportExpression' ? 'import()' : undefined
}

function named(node: SyntaxNode, parent: SyntaxNode | undefined): string | undefined {
  const name = referenceName(node, parent)
  return name !== undefined && CORE_FORBIDS.has(name) ? name : undefined
}

const TIME_NAMES = new Set(['setTimeout', 'setInterval', 'setImmediate', 'performance', 'crypto'])
const TIME_MEMBERS = [
  ['Date', 'now'],
  ['Math', 'random'],
  ['AbortSignal', 'timeout'],
  ['process', 'hrtime'],
  ['process', 'uptime'],
] as const
const TIME_MODULES = new Set(['node:timers', 'node:timers/promises', 'node:perf_hooks'])
const RANDOM_MEMBERS =
  /^(randomBytes|randomUUID|randomInt|randomFill|randomFillSync|getRandomValues|webcrypto)$/

/** Time and randomness come in through ports, so that a cluster can run simulated from one seed. */
export const timeThroughPorts: CodeRule = (file) => {
  if (!file.path.startsWith('src/') || MAY_TOUCH_TIME.some(({ path }) => file.path.startsWith(path)))
    return []
  const instead =
    'take a Clock or Random from src/ports instead (or add the file to MAY_TOUCH_TIME in test/tidy/tables.ts, with a reason)'
  const modules = file.imports
    .filter(({ specifier }) => TIME_MODULES.has(specifier))
    .map(({ specifier, line }) => ({ path: file.path, line, says: `imports ${specifier}; ${instead}` }))
  const uses = file.nodes.flatMap(({ node, parent }) => {
    const what = timeUse(node, parent)
    return what ? [{ path: file.path, line: file.lineOf(node), says: `uses ${what}; ${instead}` }] : []
  })
  return [...modules, ...uses]
}

function timeUse(node: SyntaxNode, parent: SyntaxNode | undefined): string | undefined {
  const name = referenceName(node, parent)
  if (name !== undefined && TIME_NAMES.has(name)) return name
  for (const [object, member] of TIME_MEMBERS)
    if (isMember(node, object, member)) return `${object}.${member}`
  if (
    node.type === 'NewExpression' &&
    isNamed(node.callee, 'Date') &&
    (node.arguments as unknown[]).length === 0
  )
    return 'new Date()'
  if (node.type === 'CallExpression' && isNamed(node.callee, 'Date')) return 'Date()'
  const picked =
    node.type === 'ImportSpecifier'
      ? node.imported
      : node.type === 'MemberExpression'
        ? node.property
        : undefined
  if (isNode(picked) && picked.type === 'Identifier' && RANDOM_MEMBERS.test(String(picked.name)))
    return String(picked.name)
  return undefined
}

function isMember(node: SyntaxNode, object: string, member: string): boolean {
  if (node.type !== 'MemberExpression' || !isNamed(node.object, object)) return false
  const property = node.property as SyntaxNode
  return isNamed(property, member) || (property.type === 'Literal' && property.value === member)
}

/** A barrel hides where things are and pulls in what nobody asked for; the package's entry points need to be some. */
export const barrelsAtEntries: CodeRule = (file) => {
  if (ENTRIES.includes(file.path)) return []
  if (basename(file.path) === 'index.ts') {
    return [
      {
        path: file.path,
        line: 1,
        says: `is an index.ts; only ${ENTRIES.join(', ')} are: name the file after its idea`,
      },
    ]
  }
  const top = file.nodes.filter(({ parent }) => parent?.type === 'Program').map(({ node }) => node)
  const stars = top.filter((node) => node.type === 'ExportAllDeclaration')
  const isReExport = (node: SyntaxNode) => node.type === 'ExportNamedDeclaration' && isNode(node.source)
  const own = top.filter((node) => node.type !== 'ImportDeclaration' && !isReExport(node))
  const offenders = stars.length > 0 || own.length > 0 ? stars : top.filter(isReExport).slice(0, 1)
  const says = 're-exports other files and adds nothing; let users import those files themselves'
  return offenders.map((node) => ({ path: file.path, line: file.lineOf(node), says }))
}

export const CODE_RULES: Readonly<Record<string, CodeRule>> = {
  arrows,
  adaptersApart,
  packagesAtHome,
  pureCore,
  timeThroughPorts,
  barrelsAtEntries,
}

import { posix } from 'node:path'
import { parseAst } from 'vitest/node'

/** A syntax tree node, as far as the rules need to know it. */
export interface SyntaxNode {
  readonly type: string
  readonly start: number
  readonly [field: string]: unknown
}

export interface ImportedName {
  readonly specifier: string
  readonly line: number
}

/** One parsed source file. `path` is relative to the repository, with forward slashes. */
export interface SourceFile {
  readonly path: string
  readonly text: string
  readonly imports: readonly ImportedName[]
  /** Every node with its parent, in source order. */
  readonly nodes: readonly { readonly node: SyntaxNode; readonly parent: SyntaxNode | undefined }[]
  lineOf(node: SyntaxNode): number
}

/** What a rule found. `says` tells what is wrong and what to do instead. */
export interface Finding {
  readonly path: string
  readonly line: number
  readonly says: string
}

/** Parses with the parser that vitest brings, so that words in comments and strings are never taken for code. */
export function parseSource(path: string, text: string): SourceFile {
  const lang = path.endsWith('.ts') ? 'ts' : 'js'
  const root = parseAst(text, { lang, sourceType: 'module' }, path) as unknown as SyntaxNode
  const nodes: { node: SyntaxNode; parent: SyntaxNode | undefined }[] = []
  collect(root, undefined, nodes)
  const lineOf = (node: SyntaxNode): number => text.slice(0, node.start).split('\n').length
  const imports = nodes.flatMap(({ node }) => {
    const specifier = specifierOf(node)
    return specifier === undefined ? [] : [{ specifier, line: lineOf(node) }]
  })
  return { path, text, imports, nodes, lineOf }
}

function collect(
  node: SyntaxNode,
  parent: SyntaxNode | undefined,
  into: { node: SyntaxNode; parent: SyntaxNode | undefined }[],
): void {
  into.push({ node, parent })
  for (const field of Object.values(node)) {
    for (const child of Array.isArray(field) ? field : [field]) {
      if (isNode(child)) collect(child, node, into)
    }
  }
}

export function isNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && typeof (value as SyntaxNode).type === 'string'
}

/** What an import of any form names; '' if it is computed, so that nobody can tell. */
function specifierOf(node: SyntaxNode): string | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportAllDeclaration':
    case 'ImportExpression':
    case 'TSImportType':
      return literal(node.source ?? node.argument)
    case 'ExportNamedDeclaration':
      return node.source ? literal(node.source) : undefined
    case 'TSExternalModuleReference':
      return literal(node.expression)
    case 'CallExpression':
      return isNamed(node.callee, 'require') ? literal((node.arguments as unknown[])[0]) : undefined
    default:
      return undefined
  }
}

function literal(node: unknown): string {
  if (!isNode(node)) return ''
  if (node.type === 'TSLiteralType') return literal(node.literal)
  return node.type === 'Literal' && typeof node.value === 'string' ? node.value : ''
}

export function isNamed(node: unknown, name: string): boolean {
  return isNode(node) && node.type === 'Identifier' && node.name === name
}

/** The name, if this node refers to a variable or a type; not if it names a member, a key or an import's source side. */
export function referenceName(node: SyntaxNode, parent: SyntaxNode | undefined): string | undefined {
  if (node.type !== 'Identifier' || !parent) return undefined
  const isMember =
    (parent.type === 'MemberExpression' && parent.property === node) ||
    (parent.type === 'TSQualifiedName' && parent.right === node)
  const isKey = 'key' in parent && parent.key === node && parent.value !== node && parent.shorthand !== true
  if ((isMember || isKey) && parent.computed !== true) return undefined
  if (parent.type === 'ImportSpecifier' || parent.type === 'ExportSpecifier') return undefined
  return node.name as string
}

/** Where a relative import leads, as a path in the repository; undefined for packages and `node:` modules. */
export function resolveImport(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined
  return posix.normalize(posix.join(posix.dirname(from), specifier)).replace(/\.js$/, '.ts')
}

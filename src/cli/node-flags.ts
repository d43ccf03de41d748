import { readFileSync } from 'node:fs'
import {
  NODE_OPTION_NAMES,
  NODE_OPTIONS,
  type NodeOptionName,
  nodeSettings,
} from '../compose/node-options.js'
import { VirgaError } from '../errors.js'
import type { Arguments, Flags } from './arguments.js'
import { UsageError } from './failure.js'
import { table } from './layout.js'

/** The option table as flags, variables and a JSON file. A flag beats a variable, which beats the file. */

const PREFIX = 'VIRGA_'
const CONFIG_VARIABLE = `${PREFIX}CONFIG`

type Given = Partial<Record<NodeOptionName, unknown>>

/** `deadlineMs` is `--deadline-ms`. */
export function flagOf(name: NodeOptionName): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** `deadlineMs` is `VIRGA_DEADLINE_MS`. */
export function variableOf(name: NodeOptionName): string {
  return PREFIX + flagOf(name).replaceAll('-', '_').toUpperCase()
}

export const NODE_FLAGS: Flags = Object.fromEntries([
  ['config', { type: 'string' }],
  ...NODE_OPTION_NAMES.map((name) => [flagOf(name), { type: 'string' }] as const),
])

export function nodeFlagsHelp(): string {
  const rows = NODE_OPTION_NAMES.map((name) => {
    const { kind, help, default: fallback } = NODE_OPTIONS[name]
    const shown = fallback === '' ? '' : ` (default: ${fallback})`
    return [`--${flagOf(name)} ${kind === 'number' ? 'N' : 'TEXT'}`, help + shown] as const
  })
  return table([['--config FILE', 'a JSON file with any of these options'], ...rows])
}

/** The options that were given, from wherever. Throws `UsageError`, which names the flag, variable or key that is wrong. */
export function givenNodeOptions(args: Arguments, env: NodeJS.ProcessEnv): Given {
  refuseUnknownVariables(env)
  const file = args.text('config') ?? fromVariable(env, CONFIG_VARIABLE)
  const given: Given = file === undefined ? {} : readConfig(file)
  for (const name of NODE_OPTION_NAMES) {
    const flag = args.text(flagOf(name))
    const variable = fromVariable(env, variableOf(name))
    if (flag !== undefined) given[name] = checked(`--${flagOf(name)}`, name, fromText(name, flag))
    else if (variable !== undefined) given[name] = checked(variableOf(name), name, fromText(name, variable))
  }
  return given
}

/** What Kubernetes puts into the environment of every container for a service that is named virga. */
const SERVICE_LINK = /_SERVICE_(HOST|PORT)(_|$)|_PORT$|_PORT_\d+_(TCP|UDP|SCTP)/

/** A misspelt variable would otherwise be a setting that silently is not in force. */
function refuseUnknownVariables(env: NodeJS.ProcessEnv): void {
  const known = new Set([CONFIG_VARIABLE, ...NODE_OPTION_NAMES.map(variableOf)])
  const unknown = Object.keys(env).filter(
    (name) => name.startsWith(PREFIX) && !known.has(name) && !SERVICE_LINK.test(name),
  )
  if (unknown.length === 0) return
  throw new UsageError(
    `the environment has ${unknown.sort().join(', ')}, which is no option: correct or unset it`,
    'serve',
  )
}

/** A variable that is empty counts as not given, as everywhere in shells. */
function fromVariable(env: NodeJS.ProcessEnv, name: string): string | undefined {
  return env[name] === '' ? undefined : env[name]
}

function fromText(name: NodeOptionName, text: string): string | number {
  return NODE_OPTIONS[name].kind === 'number' && /^\d{1,16}$/.test(text) ? Number(text) : text
}

function readConfig(file: string): Given {
  let parsed: unknown
  try {
    parsed = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new UsageError(`can't read options from ${file}: ${(error as Error).message}`, 'serve')
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new UsageError(`${file} is not a JSON object of options`, 'serve')
  const given: Given = {}
  for (const [name, value] of Object.entries(parsed))
    given[name as NodeOptionName] = checked(`${file}: ${name}`, name, value)
  return given
}

function checked(where: string, name: string, value: unknown): unknown {
  try {
    nodeSettings({ [name]: value })
    return value
  } catch (error) {
    if (VirgaError.is(error)) throw new UsageError(`${where}: ${error.message}`, 'serve')
    throw error
  }
}

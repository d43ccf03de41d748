#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { type Command, EXIT } from './command.js'
import { explain, UsageError } from './failure.js'
import { table } from './layout.js'

interface Entry {
  readonly summary: string
  readonly load: () => Promise<Command>
}

/** Loaded when asked for: `get` need not wait for the storage engines. */
const COMMANDS: Readonly<Record<string, Entry>> = {
  serve: { summary: "run this machine's node", load: async () => (await import('./serve.js')).serve },
  get: { summary: 'print the value of a key', load: async () => (await import('./get.js')).get },
  put: { summary: 'write the value of a key', load: async () => (await import('./put.js')).put },
  delete: { summary: 'delete a key', load: async () => (await import('./delete.js')).remove },
  status: {
    summary: 'tell how the node is, or what became of a transaction',
    load: async () => (await import('./status.js')).status,
  },
  keygen: {
    summary: 'make the keys by which nodes know each other',
    load: async () => (await import('./keygen.js')).keygen,
  },
}

function help(): string {
  return `virga COMMAND [OPTIONS]

Transactions for functions and DAGs of functions.

${table([...Object.entries(COMMANDS).map(([name, { summary }]) => [name, summary] as const), ['help [COMMAND]', 'print this, or all about a command'], ['--version', 'print the version']])}

Exit codes
${table([
  ['0', 'done'],
  ['1', 'it failed; the message on standard error says why, and what to do'],
  ['2', 'a wrong command, option or argument'],
  ['3', 'get: there is no such key'],
  ['130, 143', 'serve: ended by a second SIGINT or SIGTERM, or by one before it served'],
])}`
}

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args
  switch (name) {
    case undefined:
      process.stderr.write(`${help()}\n`)
      return EXIT.usage
    case '--version':
      process.stdout.write(`${version()}\n`)
      return EXIT.ok
    case 'help':
    case '--help':
    case '-h':
      return printHelp(rest[0])
  }
  const command = await commandOf(name)
  return asksForHelp(rest) ? printHelp(name) : command.run(rest)
}

function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--')
  return args.slice(0, end < 0 ? args.length : end).some((text) => text === '--help' || text === '-h')
}

async function printHelp(name: string | undefined): Promise<number> {
  process.stdout.write(`${name === undefined ? help() : (await commandOf(name)).help()}\n`)
  return EXIT.ok
}

async function commandOf(name: string): Promise<Command> {
  if (!Object.hasOwn(COMMANDS, name))
    throw new UsageError(`there is no command ${name}; there are ${Object.keys(COMMANDS).join(', ')}`)
  return COMMANDS[name]!.load()
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  return (manifest as { readonly version: string }).version
}

// Who reads the output may have had enough of it (`virga get key | head`).
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
})

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  const { line, exitCode } = explain(error)
  process.stderr.write(`${line}\n`)
  process.exitCode = exitCode
}

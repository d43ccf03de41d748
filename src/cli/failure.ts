import { type ErrorCode, VirgaError } from '../errors.js'
import { EXIT } from './command.js'

/** The command line itself is wrong. The message names what is, and `command` whose help to read. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  readonly command: string | undefined

  constructor(message: string, command?: string) {
    super(message)
    this.command = command
  }
}

/** What to do, for errors whose message doesn't say it. */
const ADVICE: Readonly<Partial<Record<ErrorCode, string>>> = {
  NodeUnavailable:
    'Is a node running? Start one with `virga serve`, or name its socket with --socket or VIRGA_SOCKET.',
  Timeout: 'The node or its storage is slow or stuck: see its log, or wait longer with --timeout-ms.',
  SessionLost: 'The node stopped or restarted meanwhile: try again.',
  ShuttingDown: 'Try again when the node has restarted.',
  StorageUnavailable: 'See that the storage named by --storage is up, reachable and writable, and try again.',
  StorageCorrupt:
    'See that --storage names data of virga, of this version; if it does, restore it from a backup.',
  OutcomeUnknown: 'Look with `virga status ID`, or try again under the same --id: it applies once.',
  TransactionExpired: 'Ids older than the idempotency window are refused: take a new one.',
  UnsupportedVersion: 'Client and node speak different versions: install the same version of virga for both.',
}

/** One line for people, and the exit code. */
export function explain(error: unknown): { readonly line: string; readonly exitCode: number } {
  if (error instanceof UsageError) {
    const help = error.command === undefined ? 'virga help' : `virga help ${error.command}`
    return { line: `virga: ${oneLine(error.message)} (see \`${help}\`)`, exitCode: EXIT.usage }
  }
  if (VirgaError.is(error)) {
    const advice = ADVICE[error.code]
    const line = `virga: ${error.code}: ${oneLine(error.message)}${advice ? `. ${advice}` : ''}`
    return { line, exitCode: error.code === 'InvalidArgument' ? EXIT.usage : EXIT.failure }
  }
  // A bug: its place in the code is what helps.
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { line: `virga: Internal: ${text}`, exitCode: EXIT.failure }
}

export function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ').trim()
}

/** What Redis and ioredis answer, as errors of virga. */
import { type Outcome, VirgaError } from '../../errors.js'

/** Errors by which a server says that it did not run the command, and that waiting may help. */
const TRANSIENT = new Set(['LOADING', 'TRYAGAIN', 'CLUSTERDOWN', 'MASTERDOWN', 'MOVED', 'ASK', 'BUSY'])

const HINTS: Readonly<Record<string, string>> = {
  OOM: 'the server is out of memory (maxmemory)',
  READONLY: 'the server is a read-only replica',
  MISCONF: 'the server cannot persist and refuses writes',
  NOREPLICAS: 'the server has too few replicas (min-replicas-to-write)',
  NOAUTH: 'the server wants a password',
  WRONGPASS: 'the server refused the user or the password',
  NOPERM: 'this user may not do that',
  LOADING: 'the server is still loading its data',
  CLUSTERDOWN: 'the cluster is down',
  WRONGTYPE: 'a key with our prefix holds something else',
}

export interface Failure {
  readonly error: VirgaError
  /** Surely not run, or a read: may be tried once more. */
  readonly again: boolean
}

/**
 * @param written its bytes were handed to a connection, and no server has refused it since
 */
export function failureOf(error: unknown, isWrite: boolean, written: boolean): Failure {
  if (VirgaError.is(error)) return { error, again: false }
  const { name, message } = error as { readonly name?: string; readonly message?: string }
  if (name === 'ReplyError') {
    const code = /^[A-Z]+/.exec(message ?? '')?.[0] ?? ''
    const hint = HINTS[code]
    const text = `Redis: ${hint === undefined ? message : `${hint}: ${message}`}`
    return { error: unavailable(text, 'definite', error), again: TRANSIENT.has(code) }
  }
  if (!isWrite) return { error: unavailable(`Redis, reading: ${message}`, 'definite', error), again: true }
  if (!written) return { error: unavailable(`Redis, not sent: ${message}`, 'definite', error), again: true }
  return {
    error: unavailable(`Redis, lost while it was under way: ${message}`, 'indefinite', error),
    again: false,
  }
}

export function unavailable(message: string, outcome: Outcome, cause?: unknown): VirgaError {
  return new VirgaError(
    'StorageUnavailable',
    message,
    cause === undefined ? { outcome } : { outcome, cause: stripped(cause) },
  )
}

/** ioredis hangs the command with all its arguments on its errors: values and passwords that belong in no log. */
function stripped(cause: unknown): unknown {
  if (typeof cause === 'object' && cause !== null) delete (cause as { command?: unknown }).command
  return cause
}

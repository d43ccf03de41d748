import { VirgaError } from '../../errors.js'
import type { Reply, ReplyOf } from '../../wire/messages.js'
import { encodeToken } from '../../wire/token.js'
import type { Committed } from '../committing/coordinator.js'

/** Answers, from what happened to what is sent. */

export function errorReply(request: number, error: unknown): ReplyOf<'error'> {
  if (VirgaError.is(error)) {
    return {
      type: 'error',
      request,
      code: error.code,
      indefinite: error.outcome === 'indefinite',
      // What it quotes may be as long as whatever was sent.
      message: error.message.slice(0, MESSAGE_CHARS_MAX).toWellFormed(),
    }
  }
  // Nothing is known of what an unforeseen error had done before.
  return {
    type: 'error',
    request,
    code: 'Internal',
    indefinite: true,
    message: 'an unforeseen error; the log of the node tells more',
  }
}

const MESSAGE_CHARS_MAX = 1_000

export function committedReply(request: number, committed: Committed): ReplyOf<'committed'> {
  const { txn, commit, at, replayed } = committed
  return {
    type: 'committed',
    request,
    id: txn,
    attempt: commit.attempt,
    hlc: commit.hlc,
    replayed,
    result: commit.result ?? null,
    session: encodeToken({ txn, at }),
  }
}

/** About how many bytes a reply takes in a frame. */
export function replyBytes(reply: Reply): number {
  let bytes = 64
  if (reply.type === 'values') for (const value of reply.values) bytes += (value?.length ?? 0) + 5
  else if (reply.type === 'committed' || reply.type === 'state') bytes += reply.result?.length ?? 0
  else if (reply.type === 'handed') bytes += reply.context.length
  else if (reply.type === 'resumed')
    for (const [key, , value] of reply.upstream) bytes += key.length * 3 + (value?.length ?? 0) + 12
  return bytes
}

// @ts-check
import { monotonicMs } from './clock.mjs'

/**
 * All commands that a Redis is given until `end`, as the server itself tells them.
 *
 * @param {import('ioredis').Redis} redis
 */
export async function watchCommands(redis) {
  const monitor = await redis.monitor()
  /** @type {string[][]} */
  const list = []
  const mark = `end:${Math.random()}`
  const startedAtMs = monotonicMs()
  let ended = () => {}
  const end = new Promise((resolve) => {
    ended = () => resolve(undefined)
  })
  monitor.on(
    'monitor',
    (/** @type {string} */ _time, /** @type {string[]} */ args, /** @type {string} */ source) => {
      if (args[1] === mark) ended()
      // What a script does is part of the one command that called it.
      else if (source !== 'lua' && !/^(info|ping|client)$/i.test(args[0] ?? '')) list.push(args)
    },
  )
  return {
    async end() {
      const seconds = (monotonicMs() - startedAtMs) / 1_000
      // Whatever came before this has been told before it.
      await redis.echo(mark)
      await end
      monitor.disconnect()
      return { list, seconds }
    },
  }
}

// @ts-check

/** What a function sees of a system. Values are text. */
/** @typedef {{ get(key: string): Promise<string | undefined>, getMany(keys: readonly string[]): Promise<(string | undefined)[]>, put(key: string, value: string): Promise<unknown> | void }} Access */
/** @typedef {(access: Access) => Promise<void>} Fn */

/**
 * One try at a transaction. A system says what became of it, where that is known: that it has committed, or surely never will.
 *
 * @typedef {{ readonly functions: readonly Fn[], committed(): void, aborted(): void }} Attempt
 */

/**
 * One of those that are compared. All are driven by one driver, in a process of its own, through this.
 *
 * @typedef {object} System
 * @property {boolean} atOnce what a transaction writes becomes visible when it commits, not write by write
 * @property {(start: () => Attempt) => Promise<number>} transaction runs functions one after the other as one transaction; calls `start` anew for each attempt, says of one that it committed; returns how many it took
 * @property {(keys: readonly string[], value: string) => Promise<void>} load
 * @property {() => Promise<void>} close
 */

/**
 * How often a transaction is tried before the benchmark gives up. Under much contention one may be unlucky for as long as others go on
 * (of PostgreSQL's, serializable, with Zipf 2, one was more than a thousand times): once they have ended, it gets through.
 */
export const ATTEMPTS_MAX = 100_000

/** How many requests are under way while data is loaded. */
export const LOAD_IN_FLIGHT = 50

/** @type {Record<string, (target: any) => Promise<System>>} */
const systems = {
  plain: async (target) => (await import('./redis-plain.mjs')).redisPlain(target),
  watch: async (target) => (await import('./redis-watch.mjs')).redisWatch(target),
  postgres: async (target) => (await import('./postgres.mjs')).postgres(target),
  virga: async (target) => (await import('./virga.mjs')).virgaSystem(target),
}

/** @param {string} kind @param {unknown} target */
export function openSystem(kind, target) {
  const open = systems[kind]
  if (open === undefined) throw new Error(`there is no system ${kind}`)
  return open(target)
}

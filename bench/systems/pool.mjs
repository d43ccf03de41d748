// @ts-check

/**
 * Connections that one transaction at a time has for itself, made when they are first needed.
 *
 * @template C @param {number} max @param {() => Promise<C>} open
 */
export function poolOf(max, open) {
  /** @type {C[]} */
  const all = []
  /** @type {C[]} */
  const free = []
  /** @type {((connection: C) => void)[]} */
  const waiting = []
  let opened = 0
  const take = async () => {
    const connection = free.pop()
    if (connection !== undefined) return connection
    if (opened === max)
      return new Promise((/** @type {(connection: C) => void} */ resolve) => waiting.push(resolve))
    opened++
    const made = await open()
    all.push(made)
    return made
  }
  const give = (/** @type {C} */ connection) => {
    const next = waiting.shift()
    if (next === undefined) free.push(connection)
    else next(connection)
  }
  return {
    all,
    /** @template R @param {(connection: C) => Promise<R>} use */
    async with(use) {
      const connection = await take()
      try {
        return await use(connection)
      } finally {
        give(connection)
      }
    },
  }
}

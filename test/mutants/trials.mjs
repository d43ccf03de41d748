// Runs mutants, a few at a time, each in a process of its own, until it is caught or the seeds are at an end.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const trial = fileURLToPath(new URL('trial.mjs', import.meta.url))
/** A seed takes a second or so; a mutant that does not let a run come to its end shall not hold up all others. */
const SEED_S_MAX = 180

/** One mutant, or none: the control. Resolves to `{ name, rule, what, seed, seeds, seconds }`; no rule: it was not caught. */
export function tryOne(dist, { name, file }, { first, seeds, options = {}, signal }) {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now()
    const args = [trial, dist, file, name, String(first), String(seeds), JSON.stringify(options)]
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
    })
    const result = { name, rule: undefined, what: undefined, seed: undefined, seeds: 0, seconds: 0 }
    let said = ''
    let silentS = 0
    // Ticks, and not the time between two of them: while all of this stands still, nothing is too slow.
    const watch = setInterval(() => {
      if (++silentS < SEED_S_MAX) return
      Object.assign(result, { seed: first + result.seeds, rule: 'no end', what: `after ${SEED_S_MAX} s` })
      child.kill('SIGKILL')
    }, 1_000)
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said = (said + text).slice(-4_000)
    })
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { seed, rule, what } = JSON.parse(line)
      result.seeds++
      if (rule !== undefined) Object.assign(result, { seed, rule, what })
      silentS = 0
    })
    child.on('error', (error) => {
      clearInterval(watch)
      reject(error)
    })
    child.on('close', (code) => {
      clearInterval(watch)
      result.seconds = (performance.now() - startedAt) / 1000
      if (code !== 0 && result.rule === undefined) {
        // The simulator itself breaks down under the defect: whoever runs it sees that, too.
        Object.assign(result, {
          seed: first + result.seeds,
          rule: 'broke down',
          what: said.trim().split('\n').at(-1),
        })
      }
      resolve(result)
    })
  })
}

/** All of them. `onResult` is called as each is done; results come in the order of the mutants. */
export async function tryAll(dist, mutants, { jobs, onResult, ...options }) {
  const results = new Array(mutants.length)
  let next = 0
  const worker = async () => {
    while (next < mutants.length) {
      const index = next++
      results[index] = await tryOne(dist, mutants[index], options)
      onResult?.(results[index])
    }
  }
  await Promise.all(Array.from({ length: Math.min(jobs, mutants.length) }, worker))
  return results
}

// Runs mutants, a few at a time, each in a process of its own, until it is caught or the seeds are at an end.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const trial = fileURLToPath(new URL('trial.mjs', import.meta.url))
/** A seed takes a second or so; a mutant that does not let a run come to its end shall not hold up all others. */
const SEED_S_MAX = 180
/** So many seeds may break down under a mutant, or not end, before it is given up. */
const TROUBLES_MAX = 3

/**
 * One mutant, or none: the control. Resolves to `{ name, rule, what, seed, seeds, trouble, seconds }`; no rule: it was not
 * caught. A seed that breaks down or does not end catches nothing: the next one is tried.
 */
export async function tryOne(dist, mutant, { first, seeds, options = {}, signal }) {
  const startedAt = performance.now()
  const result = {
    name: mutant.name,
    rule: undefined,
    what: undefined,
    seed: undefined,
    seeds: 0,
    trouble: undefined,
  }
  for (let troubles = 0; result.seeds < seeds && troubles < TROUBLES_MAX && result.rule === undefined; ) {
    const left = { first: first + result.seeds, seeds: seeds - result.seeds }
    const trouble = await run(dist, mutant, { ...left, options, signal }, (told) => {
      result.seeds++
      const { seed, rule, what, trouble } = told
      if (rule !== undefined) Object.assign(result, { seed, rule, what })
      else if (trouble !== undefined) {
        troubles++
        result.trouble ??= `seed ${seed} broke down: ${trouble}`
      }
      return troubles < TROUBLES_MAX
    })
    if (trouble === undefined) continue
    troubles++
    result.trouble ??= `seed ${first + result.seeds} ${trouble}`
    result.seeds++
  }
  return { ...result, seconds: (performance.now() - startedAt) / 1000 }
}

/** One process. Resolves to what kept it from its end, if something did; the seed that it was at was not told. */
function run(dist, { name, file }, { first, seeds, options, signal }, onSeed) {
  return new Promise((resolve, reject) => {
    const args = [trial, dist, file, name, String(first), String(seeds), JSON.stringify(options)]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], signal })
    let said = ''
    let silentS = 0
    let trouble
    let isEnough = false
    // Ticks, and not the time between two of them: while all of this stands still, nothing is too slow.
    const watch = setInterval(() => {
      if (++silentS < SEED_S_MAX) return
      trouble = `did not end within ${SEED_S_MAX} s`
      child.kill('SIGKILL')
    }, 1_000)
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said = (said + text).slice(-4_000)
    })
    createInterface({ input: child.stdout }).on('line', (line) => {
      silentS = 0
      if (isEnough || onSeed(JSON.parse(line))) return
      isEnough = true
      child.kill('SIGKILL')
    })
    child.on('error', (error) => {
      clearInterval(watch)
      reject(error)
    })
    child.on('close', (code) => {
      clearInterval(watch)
      if (code !== 0 && !isEnough) trouble ??= `ended its process: ${said.trim().split('\n').at(-1)}`
      resolve(trouble)
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

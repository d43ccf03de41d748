// @ts-check
// npm run bench [-- --quick] [-- --only NAME,NAME [--keep]] [-- --seed N] [-- --history FILE]: measures virga against what it stands
// on and what people use instead, side by side in one run. Prints tables; writes them, their JSON and charts to bench/results. What
// each row means: docs/benchmarks.md.
import { parseArgs } from 'node:util'
import { diceOf } from './dice.mjs'
import { load, machine } from './machine.mjs'
import { cleanUp } from './processes.mjs'
import { printed } from './report/print.mjs'
import { readResults, writeResults } from './report/write.mjs'
import { SECTIONS } from './sections.mjs'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    seed: { type: 'string' },
    // What an earlier run has found of other sections stays beside it.
    keep: { type: 'boolean', default: false },
    soak: { type: 'boolean', default: false },
    history: { type: 'string' },
  },
})

const chosen = values.soak
  ? ['soak']
  : (values.only?.split(',') ?? Object.keys(SECTIONS).filter((name) => !SECTIONS[name]?.apart))
const unknown = chosen.filter((name) => !Object.hasOwn(SECTIONS, name))
if (unknown.length > 0) {
  console.error(`there is no section ${unknown.join(', ')}; there are ${Object.keys(SECTIONS).join(', ')}`)
  process.exit(2)
}
if (values.history !== undefined && !chosen.some((name) => sectionOf(name).tellsHistory)) {
  const telling = Object.keys(SECTIONS).filter((name) => sectionOf(name).tellsHistory)
  console.error(`--history is what clients did in ${telling.join(', ')}, which is not among what is to run`)
  process.exit(2)
}
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(values.seed)
if (!Number.isSafeInteger(seed)) {
  console.error(`--seed is a whole number, got ${values.seed}`)
  process.exit(2)
}

/** @typedef {import('./report/types.mjs').Result} Result */

/** @typedef {import('./report/types.mjs').Found} Found */

/** @type {Map<string, Found>} */
const found = new Map()
const dice = diceOf(seed)
process.stderr.write(`seed ${seed}: npm run bench -- --seed ${seed} draws the same keys in the same order\n`)
// Whatever drifts while this runs, the warmth of the machine say, drifts for all alike.
for (const name of dice.shuffled(chosen)) {
  const loadBefore = load()
  const startedAt = performance.now()
  process.stderr.write(`${name} … `)
  try {
    const measured = await sectionOf(name).measure({
      quick: values.quick,
      history: values.history,
      dice: diceOf(seed + Object.keys(SECTIONS).indexOf(name)),
    })
    const seconds = Math.round((performance.now() - startedAt) / 1_000)
    const result = Array.isArray(measured) ? { rows: measured } : measured
    found.set(name, {
      name,
      title: sectionOf(name).title,
      at: new Date().toISOString(),
      seed,
      seconds,
      loadBefore,
      ...result,
    })
    process.stderr.write(`${seconds} s\n`)
  } finally {
    await cleanUp()
  }
}
const file = values.soak ? 'soak' : 'latest'
const earlier = values.keep ? readResults(file) : undefined
for (const section of earlier?.sections ?? []) if (!found.has(section.name)) found.set(section.name, section)
const results = {
  quick: values.quick || earlier?.quick === true,
  machine: machine(),
  sections: Object.keys(SECTIONS).flatMap((name) => found.get(name) ?? []),
}
console.log(printed(results))
writeResults(results, file)
// Counts are asserted: they do not depend on the machine. Of times a run tells, and leaves the verdict to its reader.
const rows = results.sections.flatMap((section) => section.rows ?? [])
const wrong = rows.filter((row) => row.counted === true && row.holds === false)
if (wrong.length > 0) {
  console.error(`counts that are wrong: ${wrong.map((row) => row.name.trim()).join(', ')}`)
  process.exitCode = 1
}

/** @param {string} name */
function sectionOf(name) {
  return /** @type {import('./sections.mjs').Section} */ (SECTIONS[name])
}

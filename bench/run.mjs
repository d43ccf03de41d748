// @ts-check
// npm run bench [-- --quick] [-- --only NAME,NAME] [-- --seed N]: measures virga against what it stands on and what people use
// instead, side by side in one run. Prints tables; writes them, their JSON and charts to bench/results. What each row means:
// docs/benchmarks.md.
import { parseArgs } from 'node:util'
import { diceOf } from './dice.mjs'
import { machine, warnIfBusy } from './machine.mjs'
import { cleanUp } from './processes.mjs'
import { printed } from './report/print.mjs'
import { writeResults } from './report/write.mjs'
import { SECTIONS } from './sections.mjs'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    seed: { type: 'string' },
    soak: { type: 'boolean', default: false },
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
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(values.seed)
if (!Number.isSafeInteger(seed)) {
  console.error(`--seed is a whole number, got ${values.seed}`)
  process.exit(2)
}

/** @typedef {import('./report/types.mjs').Result} Result */

/** @type {Map<string, Result>} */
const found = new Map()
const before = machine()
warnIfBusy(before)
const dice = diceOf(seed)
process.stderr.write(`seed ${seed}: npm run bench -- --seed ${seed} draws the same keys in the same order\n`)
const startedAt = performance.now()
// Whatever drifts while this runs, the warmth of the machine say, drifts for all alike.
for (const name of dice.shuffled(chosen)) {
  const began = performance.now()
  process.stderr.write(`${name} … `)
  try {
    const measured = await /** @type {import('./sections.mjs').Section} */ (SECTIONS[name]).measure({
      quick: values.quick,
      dice: dice.fork(),
    })
    found.set(name, Array.isArray(measured) ? { rows: measured } : measured)
  } finally {
    await cleanUp()
  }
  process.stderr.write(`${((performance.now() - began) / 1_000).toFixed(0)} s\n`)
}
const results = {
  at: new Date().toISOString(),
  seed,
  quick: values.quick,
  seconds: Math.round((performance.now() - startedAt) / 1_000),
  machine: before,
  sections: chosen.flatMap((name) => {
    const result = found.get(name)
    const title = /** @type {import('./sections.mjs').Section} */ (SECTIONS[name]).title
    return result === undefined ? [] : [{ name, title, ...result }]
  }),
}
console.log(printed(results))
writeResults(results, values.soak ? 'soak' : 'latest')
// Counts are asserted: they do not depend on the machine. Of times a run tells, and leaves the verdict to its reader.
const rows = results.sections.flatMap((section) => section.rows ?? [])
const wrong = rows.filter((row) => row.counted === true && row.holds === false)
if (wrong.length > 0) {
  console.error(`counts that are wrong: ${wrong.map((row) => row.name.trim()).join(', ')}`)
  process.exitCode = 1
}

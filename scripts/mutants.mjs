// Shows which checker of the simulator catches which deliberate defect, and after how many seeds: `npm run mutants`.
// `--only NAME[,NAME…]`: these alone. `--seeds N`: give up after so many. `--from N`: the first seed. `--jobs N`: so many
// at a time. `--plot NAME`: each seed begins with this plot. `--write FILE`: the results as a page, on which the others stay
// as they were. `--list`: what there is. Fails if one is not caught, or if the code as it is does not pass the same seeds.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { MUTANTS } from '../test/mutants/all.mjs'
import { line, page } from '../test/mutants/table.mjs'
import { tryAll } from '../test/mutants/trials.mjs'
import { openWorkshop } from '../test/mutants/workshop.mjs'

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    seeds: { type: 'string', default: '300' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    list: { type: 'boolean' },
    plot: { type: 'string' },
    write: { type: 'string' },
  },
})

const whole = (name) => {
  if (!/^[1-9]\d{0,8}$/.test(values[name])) throw new Error(`--${name} takes a whole number above 0`)
  return Number(values[name])
}

const names = values.only?.split(',')
const unknown = names?.filter((name) => !MUTANTS.some((mutant) => mutant.name === name)) ?? []
if (unknown.length > 0) throw new Error(`there is no mutant ${unknown.join(', ')}: see --list`)
const mutants = names ? MUTANTS.filter(({ name }) => names.includes(name)) : MUTANTS

/** The code as it is. */
const CONTROL = { name: '', file: '' }
/** Before the mutants it runs so many seeds; after them those up to the last one that caught something. */
const CONTROL_SEEDS = 20

const NAME_WIDTH = Math.max(...mutants.map(({ name }) => name.length))
if (values.list) for (const { name, what } of mutants) console.log(`${name.padEnd(NAME_WIDTH)}  ${what}`)
else {
  const first = whole('from')
  const seeds = whole('seeds')
  const options = { plot: values.plot }
  const jobs = whole('jobs')
  const before =
    values.write !== undefined && existsSync(values.write) ? readFileSync(values.write, 'utf8') : ''
  const done = []
  const workshop = openWorkshop(mutants)
  const tell = (result) => {
    console.log(line(result, NAME_WIDTH))
    const why = result.what ?? result.trouble
    if (why !== undefined) console.log(`${' '.repeat(NAME_WIDTH)}  ${why.split('\n')[0]}`)
  }
  /** Whether the code as it is passes so many seeds. */
  const isClean = async (from, count) => {
    if (count <= 0) return true
    const [control] = await tryAll(workshop.dist, [CONTROL], { first: from, seeds: count, options, jobs: 1 })
    if (control.rule === undefined && control.trouble === undefined) {
      console.log(`the code as it is passes the seeds from ${from} to ${from + count - 1}`)
      return true
    }
    console.log(
      'the code as it is does not pass the seeds that mutants are tried on: none of this tells anything',
    )
    tell({ ...control, name: 'as it is', rule: control.rule ?? 'broke down' })
    process.exitCode = 1
    return false
  }
  try {
    const early = Math.min(seeds, CONTROL_SEEDS)
    if (await isClean(first, early)) {
      const onResult = (result) => {
        tell(result)
        done.push(result)
        if (values.write !== undefined)
          writeFileSync(values.write, page(MUTANTS, done, { first, seeds }, before))
      }
      const results = await tryAll(workshop.dist, mutants, { first, seeds, options, jobs, onResult })
      const survivors = results.filter(({ rule }) => rule === undefined)
      const last = Math.max(...results.map(({ seed = 0 }) => seed))
      await isClean(first + early, last - first - early + 1)
      console.log(`\n${results.length} mutants, ${results.length - survivors.length} caught`)
      for (const { name } of survivors) console.log(`not caught within ${seeds} seeds: ${name}`)
      if (survivors.length > 0) process.exitCode = 1
    }
  } finally {
    workshop.close()
  }
}

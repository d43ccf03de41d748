// Shows which checker of the simulator catches which deliberate defect, and after how many seeds: `npm run mutants`.
// `--only NAME[,NAME…]`: these alone. `--seeds N`: give up after so many. `--from N`: the first seed. `--jobs N`: so many
// at a time. `--plot NAME`: each seed begins with this plot. `--write FILE`: the results as a page. `--list`: what there is.
// Fails if one is not caught.
import { writeFileSync } from 'node:fs'
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

const NAME_WIDTH = Math.max(...mutants.map(({ name }) => name.length))
if (values.list) for (const { name, what } of mutants) console.log(`${name.padEnd(NAME_WIDTH)}  ${what}`)
else {
  const first = whole('from')
  const seeds = whole('seeds')
  const done = []
  const workshop = openWorkshop(mutants)
  try {
    const onResult = (result) => {
      console.log(line(result, NAME_WIDTH))
      done.push(result)
      if (values.write !== undefined) writeFileSync(values.write, page(mutants, done, { first, seeds }))
      if (result.what !== undefined) console.log(`${' '.repeat(NAME_WIDTH)}  ${result.what.split('\n')[0]}`)
    }
    const results = await tryAll(workshop.dist, mutants, {
      first,
      seeds,
      options: { plot: values.plot },
      jobs: whole('jobs'),
      onResult,
    })
    const survivors = results.filter(({ rule }) => rule === undefined)
    console.log(`\n${results.length} mutants, ${results.length - survivors.length} caught`)
    for (const { name } of survivors) console.log(`not caught within ${seeds} seeds: ${name}`)
    if (survivors.length > 0) process.exitCode = 1
  } finally {
    workshop.close()
  }
}

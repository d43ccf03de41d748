// A process of its own for one mutant: runs seeds until a checker finds something. Tells what came of each on stdout.
// Started by trials.mjs: node trial.mjs DIST FILE NAME FIRST_SEED SEEDS OPTIONS; without a mutant FILE is empty.
import { register } from 'node:module'
import { pathToFileURL } from 'node:url'

const [dist, file, name, first, seeds, options] = process.argv.slice(2)
const at = (path) => new URL(path.replace(/\.ts$/, '.js'), pathToFileURL(`${dist}/`)).href

if (file !== '') {
  const data = { from: at(file), to: at(file.replace(/\.ts$/, `.${name}.ts`)) }
  register('./swap.mjs', { parentURL: import.meta.url, data })
}
const { runSeed } = await import(at('testing/sim/run.js'))

/** The run itself broke down: that is no rule, whatever it was that broke. */
const BROKE_DOWN = 'broke down'

let isCaught = false
for (let seed = Number(first); seed < Number(first) + Number(seeds) && !isCaught; seed++) {
  const { violations } = await runSeed(seed, JSON.parse(options))
  const trouble = violations.find(({ rule }) => rule === BROKE_DOWN)?.what
  const broken = violations.filter(({ rule }) => rule !== BROKE_DOWN)
  isCaught = broken.length > 0
  // The most telling one: an invariant, if one was seen to be broken, rather than what followed from that.
  const found = broken.find(({ rule }) => /^I\d/.test(rule)) ?? broken[0]
  process.stdout.write(`${JSON.stringify({ seed, rule: found?.rule, what: found?.what, trouble })}\n`)
}

// What became of mutants, as lines for people.

const RULE_WIDTH = 24
const NOT_RUN = 'not run yet'
const NOT_CAUGHT = 'not caught'

/** One line of a run as it goes on. */
export function line({ name, rule, seed, seeds, seconds }, nameWidth) {
  const caught = rule === undefined ? 'NOT CAUGHT' : rule
  const at = rule === undefined ? '' : `seed ${seed}`
  const columns = [
    name.padEnd(nameWidth),
    caught.padEnd(RULE_WIDTH),
    `${seeds} seeds`.padStart(9),
    at.padEnd(10),
  ]
  return `${columns.join('  ')} ${seconds.toFixed(1)} s`
}

/**
 * All mutants, as a page in Markdown: also while some are still to be run. The rows of those that were not run stay as they
 * were on the page before.
 */
export function page(mutants, results, { first, seeds }, before = '') {
  const found = new Map(results.map((result) => [result.name, result]))
  const stand = rowsOf(before)
  const rows = mutants.map(({ name, what }) => {
    const result = found.get(name)
    const [by, count] =
      result === undefined ? (stand.get(name) ?? [NOT_RUN, '']) : [byOf(result), result.seeds]
    return { name, what, by, count }
  })
  const run = rows.filter(({ by }) => by !== NOT_RUN)
  const caught = run.filter(({ by }) => !by.startsWith(NOT_CAUGHT))
  return `# Mutants

Written by \`npm run mutants -- --write test/mutants/README.md\`: ${mutants.length} deliberate defects, each tried on seeds from
${first} on, ${seeds} at most, until a checker of the simulator found something. ${run.length} were run, ${caught.length} of them caught.

The code as it is has to pass the same seeds, up to the last one that caught something: it is run first and last. A seed in which
the simulator itself breaks down, or ends its process, or does not end, catches nothing, and the next one is tried: a crash of the
judge tells nothing of what it judges, and any defect that is coarse enough would count as caught. What a node or a client does
wrong in that way has rules of its own: an error that a node logs or that a user should not meet (\`surprise\`), a rejection that
nobody handles, an answer that does not come (\`no progress\`, once the faults have stopped; \`answers when calm\`).

| defect | what it does | caught by | seeds |
|---|---|---|---|
${rows.map(({ name, what, by, count }) => `| ${name} | ${what} | ${by} | ${count} |`).join('\n')}
`
}

/** What a page says of each mutant: by what it was caught, and after how many seeds. */
export function rowsOf(text) {
  const rows = [...text.matchAll(/^\| (\S+) \| .* \| ([^|]*) \| (\d*) \|$/gm)]
  return new Map(rows.map(([, name, by, count]) => [name, [by, count]]))
}

function byOf({ rule, trouble }) {
  if (rule !== undefined) return rule
  return trouble === undefined ? NOT_CAUGHT : `${NOT_CAUGHT}: ${trouble.replace(/[|\n]/g, ' ')}`
}

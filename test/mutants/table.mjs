// What became of mutants, as lines for people.

const RULE_WIDTH = 24

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

/** All of them, as a page in Markdown: also while some are still to be run. */
export function page(mutants, results, { first, seeds }) {
  const caught = results.filter(({ rule }) => rule !== undefined).length
  const found = new Map(results.map((result) => [result.name, result]))
  const rows = mutants.map(({ name, what }) => {
    const result = found.get(name)
    const by = result === undefined ? 'not run yet' : (result.rule ?? 'not caught')
    return `| ${name} | ${what} | ${by} | ${result?.seeds ?? ''} |`
  })
  return `# Mutants

Written by \`npm run mutants -- --write test/mutants/README.md\`: ${mutants.length} deliberate defects, each tried on seeds from
${first} on, ${seeds} at most, until a checker of the simulator found something. ${results.length} were run, ${caught} of them caught.

| defect | what it does | caught by | seeds |
|---|---|---|---|
${rows.join('\n')}
`
}

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

/** All of them, as a page in Markdown. */
export function page(mutants, results, { first, seeds }) {
  const caught = results.filter(({ rule }) => rule !== undefined).length
  const rows = mutants.map(({ name, what }, i) => {
    const { rule, seeds: count } = results[i]
    return `| ${name} | ${what} | ${rule ?? 'not caught'} | ${count} |`
  })
  return `# Mutants

Written by \`npm run mutants -- --write test/mutants/README.md\`: ${results.length} deliberate defects, each tried on seeds from
${first} on, ${seeds} at most, until a checker of the simulator found something. ${caught} were caught.

| defect | what it does | caught by | seeds |
|---|---|---|---|
${rows.join('\n')}
`
}

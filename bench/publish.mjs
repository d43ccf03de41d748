// @ts-check
// npm run bench:publish: takes what the last whole run (and the last soak) found into the docs: docs/benchmarks/results.md with its
// charts, and the headline ratios of the README. Nothing there is written by hand. Where no soak was run, what was published of
// the last one stays.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { figure } from './report/figures.mjs'
import { markdown } from './report/markdown.mjs'
import { readResults, writeCharts } from './report/write.mjs'

const docs = new URL('../docs/benchmarks/', import.meta.url)
const readme = new URL('../README.md', import.meta.url)

const latest = readResults('latest')
if (latest === undefined || latest.quick) {
  console.error('there is no whole run to publish: npm run bench')
  process.exit(2)
}
mkdirSync(docs, { recursive: true })
const parts = [
  '# Figures',
  'Made by `npm run bench:publish` from the JSON of a run. What each row means: [benchmarks](../benchmarks.md).',
]
const page = new URL('results.md', docs)
const published = existsSync(page) ? readFileSync(page, 'utf8') : ''
const soak = readResults('soak')
for (const found of [latest, soak]) {
  if (found === undefined || found.quick) continue
  writeCharts(found, docs)
  parts.push(markdown(found, (id) => `${id}.svg`).trimEnd())
}
const lastSoak = /^On [^\n]*\n\n## Soak\n[\s\S]*/m.exec(published)?.[0]
if ((soak === undefined || soak.quick) && lastSoak !== undefined) parts.push(lastSoak.trimEnd())
writeFileSync(page, `${parts.join('\n\n')}\n`)

/** The rows of the README, by the beginning of their names. @type {readonly (readonly [start: string, says: string])[]} */
const HEADLINES = [
  ['cached read, view', 'a cached read in a transaction'],
  ['read-only transaction of 4, view', 'a read-only transaction of 4 reads, begin to commit'],
  [
    'AFT shape, virga, Redis, 10 concurrent, against Redis WATCH',
    'two functions with 4 KiB values, 10 at a time',
  ],
  ['AFT shape, virga, Redis, 40 concurrent, against Redis WATCH', 'the same, 40 at a time'],
  [
    'AFT shape, virga, Redis, 10 concurrent, against Redis, no',
    'the same, 10 at a time, against no guarantee',
  ],
  ['AFT shape, virga, Redis, 40 concurrent, against Redis, no', 'and 40 at a time'],
  ['commit of 2 small writes, p50, against ioredis MULTI', 'a commit of two small writes'],
]
const rows = latest.sections.flatMap((section) => section.rows ?? [])
const lines = HEADLINES.flatMap(([start, says]) => {
  const row = rows.find(({ name }) => name.startsWith(start))
  if (row?.against === undefined) return []
  const than = row.name.slice(row.name.indexOf('against ') + 'against '.length)
  return [
    `| ${says} | ${figure(row.value)} ${row.unit} | ${than}: ${figure(row.against)} ${row.unit} | ${times(row)} |`,
  ]
})
const BLOCK = /(<!-- figures -->\n)[\s\S]*(<!-- end of figures -->)/
const text = readFileSync(readme, 'utf8')
if (!BLOCK.test(text)) throw new Error('README.md has no place for figures')
const table = ['| what | virga | against | |', '| --- | --: | --: | --: |', ...lines].join('\n')
writeFileSync(
  readme,
  text.replace(BLOCK, (_, start, end) => `${start}${table}\n${end}`),
)

/** In favour or not, as it is. @param {import('./report/types.mjs').Row} row */
function times({ value, against = 0, unit }) {
  const faster = unit === '/s' ? value / against : against / value
  return faster >= 1 ? `${figure(faster)} times faster` : `${figure(1 / faster)} times slower`
}

// @ts-check
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { svgOf } from '../charts/chart.mjs'
import { markdown } from './markdown.mjs'

const folder = new URL('../results/', import.meta.url)

/** JSON writes what is undefined in a list as null. @param {string} key @param {any} value */
function withoutNull(key, value) {
  return key === 'cells' ? value.map((/** @type {number | null} */ cell) => cell ?? undefined) : value
}

/** What an earlier run has written. @param {string} name @returns {import('./types.mjs').Results | undefined} */
export function readResults(name) {
  const path = new URL(`${name}.json`, folder)
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8'), withoutNull) : undefined
}

/** JSON, Markdown and charts of a run, into bench/results. @param {import('./types.mjs').Results} results @param {string} name */
export function writeResults(results, name) {
  mkdirSync(new URL('charts/', folder), { recursive: true })
  writeFileSync(new URL(`${name}.json`, folder), `${JSON.stringify(results, null, 2)}\n`)
  writeFileSync(
    new URL(`${name}.md`, folder),
    markdown(results, (id) => `charts/${id}.svg`),
  )
  writeCharts(results, new URL('charts/', folder))
}

/** @param {import('./types.mjs').Results} results @param {URL} into */
export function writeCharts({ sections }, into) {
  for (const { charts = [] } of sections)
    for (const chart of charts) writeFileSync(new URL(`${chart.id}.svg`, into), svgOf(chart))
}

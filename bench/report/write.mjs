// @ts-check
import { mkdirSync, writeFileSync } from 'node:fs'
import { svgOf } from '../charts/chart.mjs'
import { markdown } from './markdown.mjs'

/** JSON, Markdown and charts of a run, into bench/results. @param {import('./types.mjs').Results} results @param {string} name */
export function writeResults(results, name) {
  const folder = new URL('../results/', import.meta.url)
  mkdirSync(new URL('charts/', folder), { recursive: true })
  writeFileSync(new URL(`${name}.json`, folder), `${JSON.stringify(results, null, 2)}\n`)
  writeFileSync(
    new URL(`${name}.md`, folder),
    markdown(results, (id) => `charts/${id}.svg`),
  )
  writeCharts(results, new URL('charts/', folder))
}

/** @param {import('./types.mjs').Results} results @param {URL} folder */
export function writeCharts({ sections }, folder) {
  for (const { charts = [] } of sections)
    for (const chart of charts) writeFileSync(new URL(`${chart.id}.svg`, folder), svgOf(chart))
}

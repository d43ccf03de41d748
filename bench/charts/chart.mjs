// @ts-check
import { barChart } from './bars.mjs'
import { lineChart } from './lines.mjs'

/** A chart as the text of an SVG file. @param {import('../report/types.mjs').Chart} chart */
export function svgOf(chart) {
  return chart.kind === 'bars' ? barChart(chart) : lineChart({ ...chart, series: drawable(chart) })
}

/** Without what nothing was measured of. @param {import('../report/types.mjs').LineChart} chart */
function drawable({ series }) {
  const found = series.filter(({ points }) => points.length > 0)
  return found.length > 0
    ? found
    : [{ name: 'nothing was measured', points: /** @type {[number, number][]} */ ([[1, 1]]) }]
}

// @ts-check
import { figure } from '../report/figures.mjs'
import { isVirga } from './palette.mjs'
import { logScale } from './scale.mjs'
import { element, line, picture, text } from './svg.mjs'

const WIDTH = 800
const LEFT = 296
const RIGHT = WIDTH - 90
const TOP = 78
const BAR = 16
const STEP = 25

/** Bars from a common start on a logarithmic axis; the thin line goes on to the 99th percentile. @param {import('../report/types.mjs').BarChart} chart */
export function barChart(chart) {
  const { x, bars } = chart
  const bottom = TOP + bars.length * STEP + 4
  const scale = logScale(
    bars.flatMap(({ value, p99 }) => [value, p99 ?? value]),
    LEFT,
    RIGHT,
  )
  return picture(WIDTH, bottom + 54, chart, [
    ...scale.ticks.flatMap((tick) => [
      line(scale.at(tick), TOP - 6, scale.at(tick), bottom, 'grid'),
      text(scale.at(tick), bottom + 18, figure(tick), { anchor: 'middle' }),
    ]),
    ...bars.map((bar, i) => drawn(bar, TOP + i * STEP, scale)),
    line(LEFT, TOP - 6, LEFT, bottom, 'axis'),
    text((LEFT + RIGHT) / 2, bottom + 40, x.label, { anchor: 'middle' }),
  ])
}

/** @param {{ name: string, value: number, p99?: number }} bar @param {number} y @param {import('./scale.mjs').Scale} scale */
function drawn({ name, value, p99 }, y, scale) {
  const own = isVirga(name)
  const end = scale.at(value)
  const middle = y + BAR / 2
  const far = p99 === undefined ? end : scale.at(p99)
  return [
    text(LEFT - 10, middle + 4, name, { anchor: 'end', class: own ? 'name strong' : 'name' }),
    element('rect', {
      x: LEFT,
      y,
      width: Math.max(1, end - LEFT),
      height: BAR,
      rx: 2,
      fill: own ? '#2563eb' : '#f08c5a',
    }),
    ...(far > end
      ? [line(end, middle, far, middle, 'whisker'), line(far, middle - 4, far, middle + 4, 'whisker')]
      : []),
    text(far + 8, middle + 4, figure(value), { anchor: 'start', class: 'strong' }),
  ].join('\n')
}

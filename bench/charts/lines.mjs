// @ts-check
import { figure } from '../report/figures.mjs'
import { coloursOf, isVirga } from './palette.mjs'
import { linearScale, logScale, withTicks } from './scale.mjs'
import { element, line, picture, text } from './svg.mjs'

const WIDTH = 800
const HEIGHT = 420
/** The names of the lines stand at their right ends. */
const PLOT = { left: 74, right: WIDTH - 226, top: 84, bottom: HEIGHT - 56 }
const NAME_HEIGHT = 17
const TICKS_MAX = 10

/** @param {import('../report/types.mjs').LineChart} chart */
export function lineChart(chart) {
  const { x, y, series } = chart
  const points = series.flatMap((one) => one.points)
  const xs = [...new Set(points.map(([at]) => at))].sort((a, b) => a - b)
  const across = scaleOf(x, xs, PLOT.left, PLOT.right)
  const horizontal = xs.length <= TICKS_MAX ? withTicks(across, xs) : across
  const vertical = scaleOf(
    y,
    points.map(([, value]) => value),
    PLOT.bottom,
    PLOT.top,
  )
  const colours = coloursOf(series.map(({ name }) => name))
  return picture(WIDTH, HEIGHT, chart, [
    ...axes(chart, horizontal, vertical),
    ...series.map((one, i) => path(one, horizontal, vertical, /** @type {string} */ (colours[i]))),
    ...names(series, vertical, colours),
  ])
}

/** @param {import('../report/types.mjs').Axis} axis @param {readonly number[]} values @param {number} from @param {number} to */
function scaleOf({ scale }, values, from, to) {
  return scale === 'log' ? logScale(values, from, to) : linearScale(values, from, to)
}

/** @param {import('../report/types.mjs').LineChart} chart @param {import('./scale.mjs').Scale} horizontal @param {import('./scale.mjs').Scale} vertical */
function axes({ x, y }, horizontal, vertical) {
  const { left, right, top, bottom } = PLOT
  return [
    ...vertical.ticks.flatMap((tick) => [
      line(left, vertical.at(tick), right, vertical.at(tick), 'grid'),
      text(left - 10, vertical.at(tick) + 4, figure(tick), { anchor: 'end' }),
    ]),
    line(left, bottom, right, bottom, 'axis'),
    ...horizontal.ticks.flatMap((tick) => [
      line(horizontal.at(tick), bottom, horizontal.at(tick), bottom + 5, 'axis'),
      text(horizontal.at(tick), bottom + 20, plain(tick), { anchor: 'middle' }),
    ]),
    text((left + right) / 2, bottom + 42, x.label, { anchor: 'middle' }),
    text(left, top - 10, y.label, { anchor: 'start' }),
  ]
}

/** @param {number} tick */
function plain(tick) {
  return Number.isInteger(tick) ? tick.toLocaleString('en') : String(Number(tick.toPrecision(3)))
}

/** @param {import('../report/types.mjs').Series} series @param {import('./scale.mjs').Scale} horizontal @param {import('./scale.mjs').Scale} vertical @param {string} colour */
function path({ name, points }, horizontal, vertical, colour) {
  const at = points.map(([x, y]) => `${horizontal.at(x).toFixed(1)},${vertical.at(y).toFixed(1)}`)
  const width = isVirga(name) ? 2.6 : 2
  const dots = points.length > 30 ? [] : points
  return [
    element('polyline', {
      points: at.join(' '),
      fill: 'none',
      stroke: colour,
      'stroke-width': width,
      'stroke-linejoin': 'round',
    }),
    ...dots.map(([x, y]) =>
      element('circle', {
        cx: horizontal.at(x),
        cy: vertical.at(y),
        r: 3.6,
        fill: colour,
        class: 'halo',
        'stroke-width': 1.4,
      }),
    ),
  ].join('\n')
}

/** Each at the height of its line's end, moved apart where they would overlap. @param {readonly import('../report/types.mjs').Series[]} series @param {import('./scale.mjs').Scale} vertical @param {readonly (string | undefined)[]} colours */
function names(series, vertical, colours) {
  const labels = series
    .map(({ name, points }, i) => ({ name, colour: colours[i], y: vertical.at(points.at(-1)?.[1] ?? 0) }))
    .sort((a, b) => a.y - b.y)
  const overflow = () => (labels.at(-1)?.y ?? 0) - PLOT.bottom
  for (let i = 1; i < labels.length; i++) pushDown(labels[i - 1], labels[i])
  if (overflow() > 0) {
    const last = labels.at(-1)
    if (last) last.y = PLOT.bottom
    for (let i = labels.length - 1; i > 0; i--) pushUp(labels[i - 1], labels[i])
  }
  return labels.flatMap(({ name, colour, y }) => [
    element('rect', { x: PLOT.right + 12, y: y - 5, width: 10, height: 10, rx: 2.5, fill: colour }),
    text(PLOT.right + 28, y + 4, name, { class: isVirga(name) ? 'name strong' : 'name' }),
  ])
}

/** @typedef {{ y: number } | undefined} Placed */

/** @param {Placed} above @param {Placed} below */
function pushDown(above, below) {
  if (above && below) below.y = Math.max(below.y, above.y + NAME_HEIGHT)
}

/** @param {Placed} above @param {Placed} below */
function pushUp(above, below) {
  if (above && below) above.y = Math.min(above.y, below.y - NAME_HEIGHT)
}

// @ts-check
import { figure, ratioText } from './figures.mjs'

/** Above it the machine was busy with other things; what the section before has left behind is in it. */
const LOAD_TOLD = 3

/** All that was found, for a terminal. @param {import('./types.mjs').Results} results */
export function printed({ sections }) {
  const parts = sections.map(({ title, rows = [], tables = [], notes = [] }) =>
    [
      `\n${title}`,
      ...(rows.length > 0 ? [rowTable(rows)] : []),
      ...tables.map((table) => `${table.title}, ${table.unit}\n${matrixTable(table)}`),
      ...notes,
    ].join('\n\n'),
  )
  const budgets = sections
    .flatMap(({ rows = [] }) => rows)
    .filter(({ budget, counted }) => budget !== undefined && counted !== true)
  if (budgets.length > 0) parts.push(['\nBudgets', rowTable(budgets)].join('\n\n'))
  const seconds = sections.reduce((sum, section) => sum + section.seconds, 0)
  return `${parts.join('\n')}\n\n${sections.map(loadOf).join('')}${seconds} s`
}

/** What else ran is told where it may have mattered. @param {import('./types.mjs').Found} found */
function loadOf({ name, loadBefore }) {
  if (loadBefore < LOAD_TOLD) return ''
  return `load average before ${name}: ${loadBefore.toFixed(1)}\n`
}

/** @param {readonly import('./types.mjs').Row[]} rows */
function rowTable(rows) {
  const cells = rows.map((row) => [
    row.name,
    `${figure(row.value)} ${row.unit}`,
    row.against === undefined ? '' : `${figure(row.against)} ${row.unit}${row.than ? `, ${row.than}` : ''}`,
    row.ratio === undefined ? '' : ratioText(row.ratio),
    row.budget ?? '',
    row.holds === undefined ? '' : row.holds ? 'yes' : 'NO',
  ])
  return aligned([['what', 'virga', 'against', 'ratio', 'budget', 'holds'], ...cells])
}

/** @param {import('./types.mjs').Matrix} table */
function matrixTable({ columns, lines }) {
  const cells = lines.map((line) => [
    line.name,
    ...line.cells.map((cell) => (cell === undefined ? '–' : figure(cell))),
  ])
  return aligned([['', ...columns], ...cells])
}

/** @param {readonly (readonly string[])[]} lines */
function aligned(lines) {
  const widths = (lines[0] ?? []).map((_, i) => Math.max(...lines.map((line) => (line[i] ?? '').length)))
  return lines
    .map((line) =>
      line
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

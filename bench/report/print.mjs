// @ts-check
import { figure, ratioText } from './figures.mjs'

/** All that was found, for a terminal. @param {import('./types.mjs').Results} results */
export function printed({ sections, seconds, seed }) {
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
  return `${parts.join('\n')}\n\n${seconds} s, seed ${seed}`
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

// @ts-check
import { figure, ratioText } from './figures.mjs'

/** All that was found, as Markdown. @param {import('./types.mjs').Results} results @param {(id: string) => string} chartPath */
export function markdown({ machine, sections }, chartPath) {
  const { cpus, model, node, redis, postgres } = machine
  const others = [`Node.js ${node.slice(1)}`, `Redis ${redis ?? '–'}`, `PostgreSQL ${postgres ?? '–'}`].join(
    ', ',
  )
  const parts = [`On ${cpus} cores (${model}), ${others}.`]
  for (const section of sections) {
    const { title, rows = [], tables = [], charts = [], notes = [] } = section
    parts.push(`## ${title}`)
    for (const { id, title } of charts) parts.push(`![${title}](${chartPath(id)})`)
    if (rows.length > 0) parts.push(rowTable(rows))
    for (const table of tables) parts.push(`**${table.title}**, ${table.unit}`, matrixTable(table))
    parts.push(...notes)
    const { at, name, seed, loadBefore, seconds } = section
    parts.push(
      `<sub>\`npm run bench -- --only ${name} --seed ${seed}\`, ${seconds} s, ${at.slice(0, 16).replace('T', ' ')} UTC, load average before it ${loadBefore.toFixed(1)}</sub>`,
    )
  }
  return `${parts.join('\n\n')}\n`
}

/** @param {readonly import('./types.mjs').Row[]} rows */
function rowTable(rows) {
  const lines = rows.map((row) => [
    row.name.startsWith('  ') ? `&emsp;${row.name.trim()}` : row.name,
    `${figure(row.value)} ${row.unit}`,
    row.against === undefined ? '' : `${figure(row.against)} ${row.unit}${row.than ? `, ${row.than}` : ''}`,
    row.ratio === undefined ? '' : ratioText(row.ratio),
    row.budget === undefined ? '' : row.budget.replaceAll('<', '&lt;').replaceAll('>', '&gt;'),
    row.holds === undefined ? '' : row.holds ? 'yes' : '**no**',
  ])
  return tableOf(['what', 'virga', 'against', 'ratio', 'budget', 'holds'], lines)
}

/** @param {import('./types.mjs').Matrix} table */
function matrixTable({ columns, lines }) {
  const cells = lines.map(({ name, cells }) => [
    name,
    ...cells.map((cell) => (cell === undefined ? '–' : figure(cell))),
  ])
  return tableOf(['', ...columns], cells)
}

/** @param {readonly string[]} head @param {readonly (readonly string[])[]} lines */
function tableOf(head, lines) {
  const rule = head.map((_, i) => (i === 0 ? '---' : '--:'))
  return [head, rule, ...lines].map((line) => `| ${line.join(' | ')} |`).join('\n')
}

// @ts-check

/** @param {readonly import('./run.mjs').Row[]} rows */
export function table(rows) {
  const cells = rows.map((row) => [
    row.name,
    `${format(row.value)} ${row.unit}`,
    row.against === undefined ? '' : `${format(row.against)} ${row.unit}`,
    row.ratio === undefined ? '' : row.ratio.toFixed(2),
    row.budget ?? '',
    row.holds === undefined ? '' : row.holds ? 'yes' : 'NO',
  ])
  const all = [['what', 'virga', 'against', 'ratio', 'budget', 'holds'], ...cells]
  const widths = [0, 1, 2, 3, 4, 5].map((i) => Math.max(...all.map((line) => (line[i] ?? '').length)))
  return all
    .map((line) =>
      line
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join('  '),
    )
    .join('\n')
}

/** @param {number} value */
function format(value) {
  if (value >= 1_000) return Math.round(value).toLocaleString('en')
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2)
}

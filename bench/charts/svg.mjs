// @ts-check

const STYLE = `
  .card { fill: #ffffff; stroke: #e5e7eb }
  text { font-family: system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif; font-size: 12px; fill: #4b5563 }
  .title { font-size: 17px; font-weight: 600; fill: #111827 }
  .subtitle { font-size: 13px; fill: #6b7280 }
  .name { font-size: 12.5px; fill: #1f2937 }
  .strong { font-weight: 600 }
  .grid { stroke: #eceef1 }
  .axis { stroke: #9ca3af }
  .whisker { stroke: #9ca3af }
  .halo { stroke: #ffffff }
  @media (prefers-color-scheme: dark) {
    .card { fill: #0d1117; stroke: #30363d }
    text { fill: #9aa4b0 }
    .title { fill: #f0f3f6 }
    .subtitle { fill: #9aa4b0 }
    .name { fill: #d1d7de }
    .grid { stroke: #21262d }
    .axis { stroke: #57606a }
    .halo { stroke: #0d1117 }
  }`

/** An element. @param {string} name @param {Readonly<Record<string, string | number | undefined>>} attributes @param {string} [content] already escaped */
export function element(name, attributes, content) {
  const all = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? round(value) : escaped(String(value))}"`)
    .join('')
  return content === undefined ? `<${name}${all}/>` : `<${name}${all}>${content}</${name}>`
}

/** @param {number} x @param {number} y @param {string} content @param {{ class?: string, anchor?: string, fill?: string, transform?: string }} [options] */
export function text(x, y, content, { anchor, ...rest } = {}) {
  return element('text', { x, y, 'text-anchor': anchor, ...rest }, escaped(content))
}

/** @param {number} x1 @param {number} y1 @param {number} x2 @param {number} y2 @param {string} name */
export function line(x1, y1, x2, y2, name) {
  return element('line', { x1, y1, x2, y2, class: name })
}

/** A whole picture with its title. @param {number} width @param {number} height @param {{ title: string, subtitle: string }} chart @param {readonly string[]} parts */
export function picture(width, height, { title, subtitle }, parts) {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escaped(`${title}: ${subtitle}`)}</title>`,
    `<style>${STYLE}\n</style>`,
    element('rect', { x: 0.5, y: 0.5, width: width - 1, height: height - 1, rx: 8, class: 'card' }),
    text(24, 34, title, { class: 'title' }),
    text(24, 55, subtitle, { class: 'subtitle' }),
    ...parts,
    '</svg>\n',
  ].join('\n')
}

/** @param {number} value */
function round(value) {
  return String(Math.round(value * 100) / 100)
}

/** @param {string} content */
function escaped(content) {
  return content
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

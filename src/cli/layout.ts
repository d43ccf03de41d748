/** Text in columns, for help and `status`. */

const WIDTH = 100

/** Rows of a name and an explanation, which is wrapped beside it. */
export function table(rows: readonly (readonly [string, string])[], indent = 2, width = WIDTH): string {
  const nameWidth = Math.max(...rows.map(([name]) => name.length)) + 2
  return rows
    .map(([name, text]) => {
      const lines = wrap(text, width - indent - nameWidth)
      const hanging = `\n${' '.repeat(indent + nameWidth)}`
      return `${' '.repeat(indent)}${name.padEnd(nameWidth)}${lines.join(hanging)}`.trimEnd()
    })
    .join('\n')
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!
    if (line === '') lines[lines.length - 1] = word
    else if (line.length + 1 + word.length <= width) lines[lines.length - 1] = `${line} ${word}`
    else lines.push(word)
  }
  return lines
}

import { renameSync, writeFileSync } from 'node:fs'

/** Writes a file that another process may read at any moment: it is there whole, or not at all. */
export function writeWhole(path: string, text: string): void {
  const unnamed = `${path}.${process.pid}.part`
  writeFileSync(unnamed, text)
  renameSync(unnamed, path)
}

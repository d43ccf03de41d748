// Deletes every native addon below ./node_modules that this very machine, with this very Node.js, does not load. The
// packages bring binaries for many platforms; an image runs on one. Asking the process which it loaded was preferred
// to a list of paths, which the next version of a package would quietly outdate.
import { readdirSync, realpathSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const modules = realpathSync('node_modules')
const require = createRequire(join(modules, 'virga.js'))
for (const name of ['zeromq', 'lmdb', 'msgpackr', 'koffi']) require(name)

const loaded = new Set(process.report.getReport().sharedObjects.filter((path) => path.endsWith('.node')))
for (const name of ['zeromq', 'lmdb', 'koffi']) {
  if (![...loaded].some((path) => path.includes(name))) throw new Error(`${name} loaded no native addon`)
}

let freedBytes = 0
for (const entry of readdirSync(modules, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name)
  if (!entry.isFile() || !entry.name.endsWith('.node') || loaded.has(path)) continue
  freedBytes += statSync(path).size
  rmSync(path)
}
const names = [...loaded].map((path) => path.slice(modules.length + 1)).join(', ')
process.stdout.write(`kept ${names}; freed ${(freedBytes / 2 ** 20).toFixed(1)} MiB\n`)

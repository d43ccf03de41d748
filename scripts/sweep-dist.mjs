// Removes from dist/ what no longer has a source in src/. The compiler never deletes, so a renamed file would go on
// being published, and go on being imported by a test that should have failed. Emptying dist/ before each build was
// rejected: a process that is running from it would lose files for a moment.
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')

if (existsSync(dist)) {
  for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name).slice(dist.length + 1)
    const source = join(root, 'src', `${path.replace(/(\.d\.ts|\.js|\.js\.map)$/, '')}.ts`)
    if (!existsSync(source)) rmSync(join(dist, path))
  }
}

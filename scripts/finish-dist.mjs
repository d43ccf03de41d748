// After each build. What has a command's name may be run, also where npm has not installed it, as by `npx virga` in a checkout.
//
// Removes from dist/ what no longer has a source in src/. The compiler never deletes, so a renamed file would go on
// being published, and go on being imported by a test that should have failed. Emptying dist/ before each build was
// rejected: a process that is running from it would lose files for a moment.
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
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

const { bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
for (const file of Object.values(bin)) chmodSync(join(root, file), 0o755)

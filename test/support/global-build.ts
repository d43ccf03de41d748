import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

/**
 * Builds dist/ if a source is newer, since tests start processes that import `virga` by its name, which is dist/.
 *
 * Type errors are printed but do not stop the run, because the compiler emits in spite of them and the test at hand
 * may be about something else; `npm run verify` has its own build and types steps, which do fail.
 */
export function setup(): void {
  const sources = ['src', 'tsconfig.json', 'tsconfig.build.json'].map((name) => newestMs(join(root, name)))
  if (Math.max(...sources) <= newestMs(join(root, 'dist'))) return
  const { status, stdout, stderr } = spawnSync('npm', ['run', '--silent', 'build'], {
    cwd: root,
    encoding: 'utf8',
  })
  if (status !== 0)
    process.stderr.write(`The build has errors; tests run on what was emitted.\n${stdout}${stderr}\n`)
}

/** The latest modification below `path`, folders included so that a removed file counts; 0 if there is nothing. */
function newestMs(path: string): number {
  if (!existsSync(path)) return 0
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  const inside = readdirSync(path, { withFileTypes: true }).map((entry) => newestMs(join(path, entry.name)))
  return Math.max(stat.mtimeMs, ...inside)
}

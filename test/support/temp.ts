import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** A folder of the running test, removed when it has ended. Its path is short: it has room for a socket. */
export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'virga-t-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

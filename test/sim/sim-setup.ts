import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    /** Where the test files of one run leave what their seeds came to, for each other. */
    readonly simTotals: string
  }
}

export function setup(project: TestProject): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'virga-sim-totals-'))
  project.provide('simTotals', folder)
  return () => rmSync(folder, { recursive: true, force: true })
}

// The one gate. Runs every step, also after one has failed, so that one run tells everything that is wrong: its last
// page names what failed, and why. The last line is `N passed, N failed` (and `, N skipped`). Those are tests; each
// step that failed otherwise counts as one failure more. Further npm scripts to run after the gate can be named as
// arguments; those that don't exist are passed over.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'))
const extra = process.argv.slice(2).filter((name) => name in scripts)
const STEPS = ['lint', 'types', 'build', 'test', 'check:package', ...extra]

const scratch = mkdtempSync(join(tmpdir(), 'virga-verify-'))
const reportPath = join(scratch, 'tests.json')
const rows = []
let failedSteps = 0

for (const step of STEPS) {
  process.stdout.write(`\n=== ${step}\n`)
  const startedAt = Date.now()
  const { status, signal } = spawnSync('npm', ['run', '--silent', step], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, VIRGA_TEST_REPORT: reportPath },
  })
  const ok = status === 0
  rows.push({
    step,
    ok,
    why: ok ? '' : `(${signal ?? `exit code ${status}`})`,
    tookMs: Date.now() - startedAt,
  })
  if (!ok && step !== 'test') failedSteps += 1
}

const testsOk = rows.find((row) => row.step === 'test').ok
const report = existsSync(reportPath)
  ? JSON.parse(readFileSync(reportPath, 'utf8'))
  : { passed: 0, failed: [], skipped: [] }
rmSync(scratch, { recursive: true, force: true })

// The runner itself may fail without failing a test: no report, an empty suite, a crash on the way out.
if (!testsOk && report.failed.length === 0) report.failed.push({ name: 'test', why: 'the runner failed' })
const failed = report.failed.length + failedSteps

process.stdout.write('\n=== summary\n')
for (const { step, ok, why, tookMs } of rows) {
  process.stdout.write(
    `${ok ? 'ok    ' : 'FAILED'} ${step.padEnd(14)} ${(tookMs / 1000).toFixed(1)} s ${why}\n`,
  )
}
for (const { name, why } of report.failed) process.stdout.write(`failed: ${name}: ${why}\n`)
for (const { name, reason } of report.skipped) {
  process.stdout.write(`skipped: ${name}: ${reason ?? 'no reason given'}\n`)
}
const skipped = report.skipped.length > 0 ? `, ${report.skipped.length} skipped` : ''
process.stdout.write(`${report.passed} passed, ${failed} failed${skipped}\n`)
process.exitCode = failed > 0 ? 1 : 0

// A vitest reporter that writes what verify.mjs needs to count. Vitest's own JSON drops the reason of a skipped test,
// and counts a file that failed to load as no test at all.
import { writeFileSync } from 'node:fs'

export default class CountReporter {
  #path

  constructor(options) {
    this.#path = options.path
  }

  onTestRunEnd(modules, unhandledErrors) {
    const report = { passed: 0, failed: unhandledErrors.length, skipped: [] }
    for (const module of modules) {
      const failedBefore = report.failed
      for (const test of module.children.allTests()) {
        const result = test.result()
        if (result.state === 'passed') report.passed += 1
        else if (result.state === 'skipped') {
          report.skipped.push({ name: `${module.relativeModuleId} > ${test.fullName}`, reason: result.note })
        } else report.failed += 1
      }
      // A file that did not load, or whose hooks threw, failed even where none of its tests did.
      if (module.state() === 'failed' && report.failed === failedBefore) report.failed += 1
    }
    writeFileSync(this.#path, JSON.stringify(report))
  }
}

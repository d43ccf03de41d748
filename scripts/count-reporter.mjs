// A vitest reporter that writes what verify.mjs needs to count, and what it says of failures at its end. Vitest's own
// JSON drops the reason of a skipped test, and counts a file that failed to load as no test at all.
import { writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { stripVTControlCharacters } from 'node:util'

const LINE_CHARS_MAX = 400

export default class CountReporter {
  #path

  constructor(options) {
    this.#path = options.path
  }

  onTestRunEnd(modules, unhandledErrors) {
    const report = { passed: 0, failed: [], skipped: [] }
    for (const error of unhandledErrors) report.failed.push({ name: 'outside of any test', why: said(error) })
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const name = `${module.relativeModuleId} > ${test.fullName}`
        const result = test.result()
        if (result.state === 'passed') report.passed += 1
        else if (result.state === 'skipped') report.skipped.push({ name, reason: result.note })
        else report.failed.push({ name, why: said(result.errors?.[0]) })
      }
      // A file that did not load, or whose hooks threw, failed even where none of its tests did.
      for (const at of [module, ...module.children.allSuites()]) {
        const name = at === module ? module.relativeModuleId : `${module.relativeModuleId} > ${at.fullName}`
        for (const error of at.errors()) report.failed.push({ name, why: said(error) })
      }
    }
    writeFileSync(this.#path, JSON.stringify(report))
  }
}

/** At most 20 lines, none of them long: of a difference of values, or an input that was made up, its begin. */
const said = (error) => {
  const [at] = error?.stacks ?? []
  const place = at ? [`at ${relative(process.cwd(), at.file)}:${at.line}`] : []
  const text = [error?.message ?? 'no error was told', error?.diff ?? ''].join('\n').trimEnd()
  const lines = stripVTControlCharacters(text).split('\n').slice(0, 19)
  return [...lines.map((line) => line.slice(0, LINE_CHARS_MAX)), ...place].join('\n')
}

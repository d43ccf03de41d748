// Lays out copies of the sources in a temporary folder, each mutant as a file of its own beside the one that it changes,
// and compiles all of it at once. The work tree is only read.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Of a mutant that leaves something unused: it shall compile all the same. */
const LENIENT = { noUnusedLocals: false, noUnusedParameters: false, allowUnreachableCode: true }

/** The source that a mutant changes, changed. Throws if it does not stand there exactly once. */
export function mutate({ name, file, find, put }) {
  const source = readFileSync(join(root, 'src', file), 'utf8')
  const count = source.split(find).length - 1
  if (count !== 1) throw new Error(`mutant ${name}: what it changes stands ${count} times in src/${file}`)
  if (find === put) throw new Error(`mutant ${name} changes nothing`)
  return source.replace(find, () => put)
}

/** Where a mutant's file stands beside the one that it takes the place of. */
export function mutantFile({ name, file }) {
  return file.replace(/\.ts$/, `.${name}.ts`)
}

/** Compiles the sources and all these mutants. Throws with what the compiler says. */
export function openWorkshop(mutants) {
  const folder = mkdtempSync(join(tmpdir(), 'virga-mutants-'))
  const close = () => rmSync(folder, { recursive: true, force: true })
  try {
    const texts = mutants.map((mutant) => [mutantFile(mutant), mutate(mutant)])
    cpSync(join(root, 'src'), join(folder, 'src'), { recursive: true })
    for (const name of ['tsconfig.json', 'package.json']) cpSync(join(root, name), join(folder, name))
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    for (const [file, text] of texts) writeFileSync(join(folder, 'src', file), text)
    const options = { ...LENIENT, rootDir: 'src', outDir: 'dist', noEmit: false, declaration: false }
    const config = { extends: './tsconfig.json', compilerOptions: options, include: ['src'] }
    writeFileSync(join(folder, 'tsconfig.build.json'), JSON.stringify(config))
    const tsc = join(root, 'node_modules', '.bin', 'tsc')
    const built = spawnSync(tsc, ['-p', 'tsconfig.build.json'], { cwd: folder, encoding: 'utf8' })
    if (built.status !== 0)
      throw new Error(`mutants do not compile:\n${built.stdout}${built.stderr}${built.error ?? ''}`)
    return { dist: join(folder, 'dist'), close }
  } catch (error) {
    close()
    throw error
  }
}

// Takes the lock at argv[2], once the file argv[3] is there; says which, and holds it until its input ends.
import { existsSync } from 'node:fs'
import { acquireLock } from '../../dist/platform/lock.js'

const [, , path, gate] = process.argv
while (gate !== undefined && !existsSync(gate)) await new Promise((resolve) => setImmediate(resolve))
try {
  const lock = await acquireLock(path)
  process.stdout.write('held\n')
  process.stdin.on('end', async () => {
    await lock.release()
    process.exit(0)
  })
  process.stdin.resume()
} catch (error) {
  process.stdout.write(`${error.code ?? error.message}\n`)
}

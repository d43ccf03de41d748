/** An executor's end of views in LMDB, in a process of its own. */
import { existsSync, writeFileSync } from 'node:fs'
import { VirgaError } from 'virga'
import { lmdbOpener } from '../../dist/view/lmdb-opener.js'

const opener = lmdbOpener()
const readers = new Map()

/** What is found is valid until the next call. */
function look(reader, key) {
  const length = reader.get(key)
  return length < 0 ? undefined : reader.bytes.slice(0, length)
}

const OPS = {
  async open(name, path) {
    const made = { reader: undefined, damaged: undefined }
    made.damaged = new Promise((resolve) => {
      made.tell = resolve
    })
    made.reader = await opener.open(path, made.tell)
    readers.set(name, made)
  },
  read(name, keys) {
    const { reader } = readers.get(name)
    reader.refresh()
    return keys.map((key) => look(reader, key))
  },
  damaged: (name) => readers.get(name).damaged,
  close: (name) => readers.get(name).reader.close(),
  /**
   * Looks, and goes on in the same turn only when there is a file: what it saw can't be used again meanwhile. That it has looked
   * another file tells.
   */
  holdUntil(name, key, gate) {
    const { reader } = readers.get(name)
    reader.refresh()
    const before = look(reader, key)
    writeFileSync(`${gate}.held`, '')
    while (!existsSync(gate)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
    return [before, look(reader, key)]
  },
}

process.on('disconnect', () => process.exit(0))
process.on('message', async ({ request, op, args }) => {
  try {
    process.send({ request, value: await OPS[op](...args) })
  } catch (error) {
    const { code, outcome } = VirgaError.is(error) ? error : {}
    process.send({ request, error: { code, outcome, message: `${error.stack}` } })
  }
})
process.send({ ready: true })

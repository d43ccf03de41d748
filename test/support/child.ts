/** Processes of tests that a message tells what to do, that can be killed and stopped, and that never outlive their test. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { type ErrorCode, type Outcome, VirgaError } from '../../src/errors.js'

interface Answer {
  readonly ready?: boolean
  readonly request?: number
  readonly value?: unknown
  readonly error?: { readonly code?: ErrorCode; readonly outcome?: Outcome; readonly message: string }
}

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

const READY_MS_MAX = 15_000
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export class Child {
  readonly #process: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  readonly #ended: Promise<void>
  #requests = 0

  /** Starts `test/support/<script>` with `argument` as JSON; resolves when it says that it is ready. */
  static async start(script: string, argument: unknown): Promise<Child> {
    const path = fileURLToPath(new URL(script, import.meta.url))
    const child = fork(path, [JSON.stringify(argument)], {
      execArgv: [],
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    running.add(child)
    const made = new Child(child)
    onTestFinished(() => made.kill())
    await made.#ready
    return made
  }

  readonly #ready: Promise<void>

  private constructor(child: ChildProcess) {
    this.#process = child
    this.#ready = new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${child.spawnargs} is not ready`)), READY_MS_MAX)
      const settle = (then: () => void): void => {
        clearTimeout(timer)
        then()
      }
      child.on('message', (message: Answer) => {
        if (message.ready) settle(resolve)
        else this.#settle(message)
      })
      child.once('exit', (code) => settle(() => reject(new Error(`${child.spawnargs} ended with ${code}`))))
    })
    this.#ended = new Promise((resolve) => {
      child.once('exit', () => {
        running.delete(child)
        for (const { reject } of this.#waiting.values()) reject(new Error('the process has ended'))
        this.#waiting.clear()
        resolve()
      })
    })
  }

  get pid(): number {
    return this.#process.pid!
  }

  get hasEnded(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null
  }

  /** Rejects with the VirgaError that the process met, if it met one. */
  call<T = unknown>(op: string, ...args: readonly unknown[]): Promise<T> {
    const request = ++this.#requests
    return new Promise<unknown>((resolve, reject) => {
      if (this.hasEnded) {
        reject(new Error('the process has ended'))
        return
      }
      this.#waiting.set(request, { resolve, reject })
      this.#process.send({ request, op, args }, (error) => {
        if (error !== null && this.#waiting.delete(request)) reject(error)
      })
    }) as Promise<T>
  }

  signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGTERM'): void {
    this.#process.kill(name)
  }

  /** SIGKILL, whatever its state, and waits for the end. */
  async kill(): Promise<void> {
    if (!this.hasEnded) this.#process.kill('SIGKILL')
    await this.#ended
  }

  /** Waits for the process to end by itself. */
  ended(): Promise<void> {
    return this.#ended
  }

  #settle({ request, value, error }: Answer): void {
    const waiting = this.#waiting.get(request!)
    if (waiting === undefined) return
    this.#waiting.delete(request!)
    if (error === undefined) waiting.resolve(value)
    else if (error.code === undefined) waiting.reject(new Error(error.message))
    else waiting.reject(new VirgaError(error.code, error.message, { outcome: error.outcome ?? 'indefinite' }))
  }
}

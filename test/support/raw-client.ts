import { onTestFinished } from 'vitest'
import { Refusal, TinyClient } from './tiny-client.mjs'

/** A client of the running test that speaks the protocol by hand. */
export async function greeted(socket: string): Promise<TinyClient> {
  const client = new TinyClient(socket)
  onTestFinished(() => client.close())
  await client.hello()
  return client
}

/** The code that a request is refused with. Throws if it is answered. */
export async function refusalOf(answer: Promise<unknown>): Promise<string> {
  return (await refusal(answer)).code
}

export async function refusal(answer: Promise<unknown>): Promise<Refusal> {
  const error = await answer.then(
    (fields) => new Error(`answered ${JSON.stringify(fields)}`),
    (reason: unknown) => reason,
  )
  if (error instanceof Refusal) return error
  throw error
}

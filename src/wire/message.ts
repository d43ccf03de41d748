import { type Fields, type Shape, Struct } from './schema.js'

/** One kind of message. On the wire it is an array: its number, a request number, then its fields in this order. */
export interface MessageType<N extends string, F extends Fields> {
  readonly name: N
  readonly number: number
  readonly fields: Struct<F>
}

export function message<const N extends string, F extends Fields>(
  number: number,
  name: N,
  fields: F,
): MessageType<N, F> {
  return { name, number, fields: new Struct(fields) }
}

/** Any message of a table. */
export type Message<Table> = {
  [N in keyof Table]: Table[N] extends MessageType<infer Name, infer F>
    ? { readonly type: Name; readonly request: number } & Shape<F>
    : never
}[keyof Table]

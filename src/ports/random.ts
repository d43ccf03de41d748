/** Where randomness comes from. Ids and keys use `bytes`, jitter uses `fraction`. */
export interface Random {
  /** `count` bytes, unpredictable in production. */
  bytes(count: number): Uint8Array
  /** A number in [0, 1). */
  fraction(): number
}

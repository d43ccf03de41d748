import { curveKeyPair } from 'zeromq'

/** A CURVE key pair, in Z85: 40 letters each. */
export interface KeyPair {
  readonly publicKey: string
  readonly secretKey: string
}

/** A new key pair, from the system's random generator. */
export function makeKeyPair(): KeyPair {
  const { publicKey, secretKey } = curveKeyPair()
  return { publicKey, secretKey }
}

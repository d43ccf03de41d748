import { VirgaError } from '../errors.js'

/** Z85 (ZeroMQ RFC 32): four bytes as five printable characters. How CURVE keys are written. */

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#'
const DIGITS: ReadonlyMap<string, number> = new Map([...ALPHABET].map((letter, value) => [letter, value]))

export const KEY_LETTERS = 40

/** `bytes`: a multiple of four. */
export function z85Encode(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let text = ''
  for (let at = 0; at < bytes.length; at += 4) {
    const word = view.getUint32(at)
    for (let unit = 85 ** 4; unit >= 1; unit /= 85) text += ALPHABET[Math.floor(word / unit) % 85]
  }
  return text
}

/** Undefined: the text is not Z85. */
export function z85Decode(text: string): Uint8Array | undefined {
  if (text.length % 5 !== 0) return undefined
  const bytes = new Uint8Array((text.length / 5) * 4)
  const view = new DataView(bytes.buffer)
  for (let at = 0; at < text.length; at += 5) {
    let word = 0
    for (const letter of text.slice(at, at + 5)) {
      const digit = DIGITS.get(letter)
      if (digit === undefined) return undefined
      word = word * 85 + digit
    }
    if (word > 0xffff_ffff) return undefined
    view.setUint32((at / 5) * 4, word)
  }
  return bytes
}

/** Whether a text is a CURVE key: 32 bytes, that is 40 letters of Z85. */
export function isKey(text: string): boolean {
  return text.length === KEY_LETTERS && z85Decode(text) !== undefined
}

/** Throws `InvalidArgument`, which names `what` and never shows the text: it may be a secret. */
export function checkKey(what: string, text: string): string {
  if (!isKey(text)) {
    throw new VirgaError(
      'InvalidArgument',
      `${what} is not a CURVE key, which has ${KEY_LETTERS} letters of Z85; virga keygen makes one`,
    )
  }
  return text
}

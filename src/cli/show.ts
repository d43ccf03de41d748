/** Values as text. What JSON has no word for: bytes become {"base64":"…"}, 64-bit integers and dates become strings. */
export function toJson(value: unknown, indent?: number): string {
  return JSON.stringify(
    value,
    function (this: Record<string, unknown>, name: string, item: unknown): unknown {
      // From its holder: `item` may have gone through toJSON already.
      const raw = this[name]
      if (raw instanceof Uint8Array) return { base64: Buffer.from(raw).toString('base64') }
      return typeof raw === 'bigint' ? String(raw) : item
    },
    indent,
  )
}

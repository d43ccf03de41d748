/**
 * A MessagePack codec of its own, written from the specification: it shares nothing with the one that virga uses, so that
 * each proves the other. Writes integers in the shortest integer form, up to 64 bits.
 */

const utf8 = new TextEncoder()
const text = new TextDecoder('utf-8', { fatal: true })

/** Nil, booleans, numbers, strings, Uint8Arrays and arrays of these. */
export function encode(value) {
  const parts = []
  write(value, parts)
  return Buffer.concat(parts)
}

function write(value, out) {
  if (value === null) out.push(Buffer.of(0xc0))
  else if (typeof value === 'boolean') out.push(Buffer.of(value ? 0xc3 : 0xc2))
  else if (typeof value === 'number') out.push(number(value))
  else if (typeof value === 'string') {
    const bytes = utf8.encode(value)
    const head = bytes.length < 32 ? Buffer.of(0xa0 | bytes.length) : sized([0xd9, 0xda, 0xdb], bytes.length)
    out.push(head, bytes)
  } else if (value instanceof Uint8Array) out.push(sized([0xc4, 0xc5, 0xc6], value.length), value)
  else if (Array.isArray(value)) {
    out.push(
      value.length < 16 ? Buffer.of(0x90 | value.length) : sized([undefined, 0xdc, 0xdd], value.length),
    )
    for (const item of value) write(item, out)
  } else throw new TypeError(`can't encode ${typeof value}`)
}

function sized([eight, sixteen, thirtyTwo], length) {
  if (length < 0x100 && eight !== undefined) return Buffer.of(eight, length)
  if (length < 0x10000) return Buffer.of(sixteen, length >> 8, length & 0xff)
  const head = Buffer.alloc(5, thirtyTwo)
  head.writeUInt32BE(length, 1)
  return head
}

function number(value) {
  if (Number.isSafeInteger(value) && value >= 0) {
    if (value < 0x80) return Buffer.of(value)
    if (value < 0x100) return Buffer.of(0xcc, value)
    if (value < 0x10000) return Buffer.of(0xcd, value >> 8, value & 0xff)
    const head = Buffer.alloc(value < 2 ** 32 ? 5 : 9, value < 2 ** 32 ? 0xce : 0xcf)
    if (value < 2 ** 32) head.writeUInt32BE(value, 1)
    else head.writeBigUInt64BE(BigInt(value), 1)
    return head
  }
  const head = Buffer.alloc(9, 0xcb)
  head.writeDoubleBE(value, 1)
  return head
}

/** Decodes one value that fills `bytes`. */
export function decode(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const [value, end] = read(view, 0)
  if (end !== bytes.length) throw new RangeError('bytes are left over')
  return value
}

function read(view, at) {
  const type = view.getUint8(at++)
  if (type < 0x80) return [type, at]
  if (type >= 0xe0) return [type - 0x100, at]
  if (type >= 0xa0 && type < 0xc0) return string(view, at, type & 0x1f)
  if (type >= 0x90 && type < 0xa0) return array(view, at, type & 0x0f)
  const length = (width) =>
    width === 1 ? view.getUint8(at) : width === 2 ? view.getUint16(at) : view.getUint32(at)
  switch (type) {
    case 0xc0:
      return [null, at]
    case 0xc2:
    case 0xc3:
      return [type === 0xc3, at]
    case 0xc4:
    case 0xc5:
    case 0xc6: {
      const width = 1 << (type - 0xc4)
      return binary(view, at + width, length(width))
    }
    case 0xca:
      return [view.getFloat32(at), at + 4]
    case 0xcb:
      return [view.getFloat64(at), at + 8]
    case 0xcc:
    case 0xcd:
    case 0xce: {
      const width = 1 << (type - 0xcc)
      return [length(width), at + width]
    }
    case 0xcf:
      return [Number(view.getBigUint64(at)), at + 8]
    case 0xd0:
      return [view.getInt8(at), at + 1]
    case 0xd1:
      return [view.getInt16(at), at + 2]
    case 0xd2:
      return [view.getInt32(at), at + 4]
    case 0xd3:
      return [Number(view.getBigInt64(at)), at + 8]
    case 0xd9:
    case 0xda:
    case 0xdb: {
      const width = 1 << (type - 0xd9)
      return string(view, at + width, length(width))
    }
    case 0xdc:
    case 0xdd: {
      const width = type === 0xdc ? 2 : 4
      return array(view, at + width, length(width))
    }
    default:
      throw new TypeError(`0x${type.toString(16)} is not used here`)
  }
}

function binary(view, at, length) {
  if (at + length > view.byteLength) throw new RangeError('ends too early')
  return [new Uint8Array(view.buffer, view.byteOffset + at, length), at + length]
}

function string(view, at, length) {
  const [bytes, end] = binary(view, at, length)
  return [text.decode(bytes), end]
}

function array(view, at, length) {
  const items = []
  let next = at
  for (let i = 0; i < length; i++) {
    const [item, end] = read(view, next)
    items.push(item)
    next = end
  }
  return [items, next]
}

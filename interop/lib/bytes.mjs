// Small helpers on Uint8Array; no Buffer, so that everything in lib/ runs in browsers as well.
import { randomBytes } from '@noble/hashes/utils'

const encoder = new TextEncoder()
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export const utf8 = (text) => encoder.encode(text)

/** The text of UTF-8 bytes, a byte order mark included; throws a TypeError when they are not UTF-8. */
export const textOf = (bytes) => strict.decode(bytes)

export function utf8Length(text) {
  let length = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    length += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 1 : 2
  }
  return length
}

export function concat(...parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

export function equal(a, b) {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

export const toHex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('')

export function fromHex(text) {
  if (!/^([0-9a-f]{2})*$/.test(text)) throw new TypeError('not lower-case hexadecimal')
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16))
}

export const random = (length) => randomBytes(length)

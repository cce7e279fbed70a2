// base64url without padding, canonical only (section 8.3).
import { utf8, textOf } from './bytes.mjs'

const ALPHABET = utf8('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_')
const VALUES = new Int16Array(128).fill(-1)
ALPHABET.forEach((code, value) => { VALUES[code] = value })

export const encodedLength = (bytes) => Math.ceil((bytes * 4) / 3)
export const decodedLength = (chars) => Math.floor((chars * 3) / 4)

export function encode(bytes) {
  const out = new Uint8Array(encodedLength(bytes.length))
  for (let i = 0, at = 0; i < bytes.length; i += 3) {
    const group = (bytes[i] << 16) | (bytes[i + 1] << 8) | bytes[i + 2] // what is not there counts as 0
    out[at++] = ALPHABET[group >> 18]
    out[at++] = ALPHABET[(group >> 12) & 63]
    out[at++] = ALPHABET[(group >> 6) & 63] // beyond the end of `out` nothing is written
    out[at++] = ALPHABET[group & 63]
  }
  return textOf(out)
}

/** The bytes of a canonical text, or null for any other text. */
export function decode(text) {
  if (text.length % 4 === 1) return null
  const out = new Uint8Array(decodedLength(text.length))
  let bits = 0
  let kept = 0
  for (let i = 0, at = 0; i < text.length; i++) {
    const value = VALUES[text.charCodeAt(i)] ?? -1
    if (value < 0) return null
    bits = ((bits << 6) | value) & 0xfff
    kept += 6
    if (kept >= 8) {
      kept -= 8
      out[at++] = bits >> kept
    }
  }
  return (bits & ((1 << kept) - 1)) === 0 ? out : null
}

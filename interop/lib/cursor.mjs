// The cursor of appendix C: a position, and a tag over everything up to it.
import { littleEndian } from './proof.mjs'
import * as base64url from './base64url.mjs'

const LOW = (1n << 64n) - 1n

/** What of a document id enters the tag. */
export const documentTag = (doc) => littleEndian(doc.subarray(0, 8))

/** What of a digest enters the tag: its first 8 bytes, the lowest of the sum. */
export const sumTag = (sum) => sum & LOW

export function cursorText(position, sum, docTag) {
  const bytes = new Uint8Array(16)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, BigInt(position))
  view.setBigUint64(8, (sum + docTag) & LOW)
  return base64url.encode(bytes)
}

/** The position that a cursor claims, which it proves only by being that position's text; or null. */
export function claimedPosition(text) {
  const bytes = text.length === 22 ? base64url.decode(text) : null
  return bytes && Number(new DataView(bytes.buffer).getBigUint64(0))
}

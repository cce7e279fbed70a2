// Proof of possession of a document (section 4.4).
import { ed25519 } from '@noble/curves/ed25519'
import { sha512 } from '@noble/hashes/sha2'
import { concat, equal, utf8 } from './bytes.mjs'

const Point = ed25519.Point
const ORDER = Point.Fn.ORDER

export function proofMessage(challenge, doc, authority) {
  return concat(utf8('athena-sync/1 open'), Uint8Array.of(0), challenge, doc, utf8(authority))
}

export function prove(keys, challenge, authority) {
  return ed25519.sign(proofMessage(challenge, keys.doc, authority), keys.signSeed)
}

/** Whether the four conditions hold. Written out, because noble's own verify uses the cofactor. */
export function verify(proof, challenge, doc, authority) {
  const s = littleEndian(proof.subarray(32))
  if (s >= ORDER) return false
  const a = documentPoint(doc)
  if (a === null) return false
  const r = proof.subarray(0, 32)
  const k = littleEndian(sha512(concat(r, doc, proofMessage(challenge, doc, authority)))) % ORDER
  const expected = times(Point.BASE, s).subtract(times(a, k))
  return equal(expected.toBytes(), r) && !expected.isSmallOrder()
}

/** The point that a document id encodes, or null when it is none that a proof may be made with. */
export function documentPoint(doc) {
  try {
    const point = Point.fromBytes(doc)
    return point.isSmallOrder() || !equal(point.toBytes(), doc) ? null : point
  } catch {
    return null
  }
}

const times = (point, scalar) => (scalar === 0n ? Point.ZERO : point.multiplyUnsafe(scalar))

export function littleEndian(bytes) {
  let value = 0n
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i])
  return value
}

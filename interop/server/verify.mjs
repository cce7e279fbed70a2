// Checks a proof (section 4.4). OpenSSL, behind node:crypto, takes care of conditions 1 and 4; that
// neither point is of small order has to be added.
import { createPublicKey, verify as verifySignature } from 'node:crypto'
import { ed25519 } from '@noble/curves/ed25519'
import { proofMessage } from '../lib/proof.mjs'
import { equal } from '../lib/bytes.mjs'

const KEY_PREFIX = Buffer.from('302a300506032b6570032100', 'hex') // SubjectPublicKeyInfo of RFC 8410

export function verify(proof, challenge, doc, authority) {
  if (!isUsablePoint(doc) || !isUsablePoint(proof.subarray(0, 32))) return false
  const key = createPublicKey({ key: Buffer.concat([KEY_PREFIX, doc]), format: 'der', type: 'spki' })
  return verifySignature(null, proofMessage(challenge, doc, authority), key, proof)
}

/** Whether these are the canonical bytes of a point that is not of small order. */
function isUsablePoint(bytes) {
  try {
    const point = ed25519.Point.fromBytes(bytes)
    return !point.isSmallOrder() && equal(point.toBytes(), bytes)
  } catch {
    return false
  }
}

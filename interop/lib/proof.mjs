// Proof of possession of a document (section 4.4).
import { ed25519 } from '@noble/curves/ed25519'
import { concat, utf8 } from './bytes.mjs'

export function proofMessage(challenge, doc, authority) {
  return concat(utf8('athena-sync/1 open'), Uint8Array.of(0), challenge, doc, utf8(authority))
}

export function prove(keys, challenge, authority) {
  return ed25519.sign(proofMessage(challenge, keys.doc, authority), keys.signSeed)
}

export function littleEndian(bytes) {
  let value = 0n
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i])
  return value
}

// Keys from a document secret (section 4.1).
import { blake2b } from '@noble/hashes/blake2'
import { ed25519 } from '@noble/curves/ed25519'
import { utf8, random } from './bytes.mjs'
import * as base64url from './base64url.mjs'

// The table that signing uses, smaller than usual: each process makes it anew and signs little.
ed25519.Point.BASE.precompute(4)

export const hash = (message) => blake2b(message, { dkLen: 32 })
export const keyedHash = (key, message) => blake2b(message, { key, dkLen: 32 })

export const newSecret = () => random(32)

/** The secret that a text of 43 characters stands for; throws a TypeError for any other text. */
export function secretFromText(text) {
  const secret = base64url.decode(text)
  if (secret?.length !== 32) throw new TypeError('a document secret is 43 characters of canonical base64url')
  return secret
}

export function deriveKeys(secret) {
  const derive = (purpose) => keyedHash(secret, utf8(`athena-sync/1 ${purpose} key`))
  const signSeed = derive('document')
  const doc = ed25519.getPublicKey(signSeed)
  return { signSeed, contentKey: derive('content'), nonceKey: derive('nonce'), doc, docText: base64url.encode(doc) }
}

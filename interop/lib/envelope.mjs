// The envelope: one change, padded and encrypted, always to the same bytes (sections 4.2 and 4.3).
import { xchacha20poly1305 } from '@noble/ciphers/chacha'
import { keyedHash } from './keys.mjs'
import { concat, equal, utf8 } from './bytes.mjs'
import { BadEnvelope } from './errors.mjs'

const SUITE = 0x01
const NONCE_END = 25
const OVERHEAD = 41
const FLOOR = 128
const ZERO = Uint8Array.of(0)

/** PADME of n + 1 with a floor; arithmetic, not bit operations, so that lengths above 2^31 are right. */
export function paddedLength(n) {
  if (n + 1 <= FLOOR) return FLOOR
  const e = floorLog2(n + 1)
  const step = 2 ** (e - floorLog2(e) - 1)
  return Math.ceil((n + 1) / step) * step
}

function floorLog2(m) {
  let e = Math.floor(Math.log2(m))
  if (2 ** e > m) e--
  return 2 ** (e + 1) <= m ? e + 1 : e
}

export const envelopeLength = (n) => OVERHEAD + paddedLength(n)

export function associatedData(doc, id) {
  return concat(utf8('athena-sync/1 change'), ZERO, Uint8Array.of(SUITE), doc, utf8(id))
}

export function pad(plaintext) {
  const padded = new Uint8Array(paddedLength(plaintext.length))
  padded.set(plaintext)
  padded[plaintext.length] = 0x80
  return padded
}

const nonceOf = (keys, ad, padded) => keyedHash(keys.nonceKey, concat(ad, ZERO, padded)).slice(0, 24)

export function seal(keys, id, plaintext) {
  const ad = associatedData(keys.doc, id)
  const padded = pad(plaintext)
  const nonce = nonceOf(keys, ad, padded)
  return concat(Uint8Array.of(SUITE), nonce, xchacha20poly1305(keys.contentKey, nonce, ad).encrypt(padded))
}

/** The plaintext of an envelope; throws BadEnvelope when any check of section 4.2 fails. */
export function open(keys, id, data) {
  if (data.length > 0 && data[0] !== SUITE) throw new BadEnvelope('ASP-ENV-3', `suite ${data[0]} is not known`)
  if (data.length < OVERHEAD + FLOOR) throw new BadEnvelope('ASP-ENV-4', `${data.length} bytes are too short`)
  const ad = associatedData(keys.doc, id)
  const nonce = data.subarray(1, NONCE_END)
  const padded = decrypt(keys, nonce, ad, data.subarray(NONCE_END))
  if (!equal(nonceOf(keys, ad, padded), nonce)) throw new BadEnvelope('ASP-ENV-6', 'the nonce is not that of the content')
  return unpad(padded)
}

function decrypt(keys, nonce, ad, ciphertext) {
  try {
    return xchacha20poly1305(keys.contentKey, nonce, ad).decrypt(ciphertext)
  } catch {
    throw new BadEnvelope('ASP-ENV-5', 'the tag does not verify')
  }
}

function unpad(padded) {
  let end = padded.length
  while (end > 0 && padded[end - 1] === 0) end--
  if (padded[end - 1] !== 0x80) throw new BadEnvelope('ASP-ENV-7', 'the padding does not begin with 0x80')
  if (padded.length !== paddedLength(end - 1)) throw new BadEnvelope('ASP-ENV-8', 'the padding has another length')
  return padded.slice(0, end - 1)
}

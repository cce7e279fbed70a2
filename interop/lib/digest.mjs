// Item hashes and their sum (section 5). A sum is a BigInt; only on the wire is it 32 bytes.
import { hash } from './keys.mjs'
import { concat, utf8 } from './bytes.mjs'
import { littleEndian } from './proof.mjs'
import * as base64url from './base64url.mjs'

const MODULUS = 1n << 256n
const ZERO = Uint8Array.of(0)
const DOMAIN = utf8('athena-sync/1 item')

export const itemHash = (id, data) => hash(concat(DOMAIN, ZERO, utf8(id), ZERO, data))
export const add = (sum, item) => (sum + littleEndian(item)) % MODULUS
export const subtract = (sum, item) => (sum - littleEndian(item) + MODULUS) % MODULUS

export function digestBytes(sum) {
  const bytes = new Uint8Array(32)
  for (let i = 0; i < 32; i++) bytes[i] = Number((sum >> BigInt(8 * i)) & 0xffn)
  return bytes
}

export const digestText = (sum) => base64url.encode(digestBytes(sum))

// Every vector of fixtures/vectors.
import test from 'node:test'
import assert from 'node:assert/strict'
import { blake2b } from '@noble/hashes/blake2'
import { jsonOf } from './fixtures.mjs'
import { fromHex, textOf, toHex } from '../lib/bytes.mjs'
import { authorityOf } from '../lib/authority.mjs'
import { deriveKeys, secretFromText } from '../lib/keys.mjs'
import { associatedData, envelopeLength, open, pad, paddedLength, seal } from '../lib/envelope.mjs'
import { proofMessage, prove } from '../lib/proof.mjs'
import { verify } from '../server/verify.mjs'
import { add, digestBytes, digestText, itemHash } from '../lib/digest.mjs'
import { claimedPosition, cursorText, documentTag, sumTag } from '../lib/cursor.mjs'
import * as base64url from '../lib/base64url.mjs'
import * as ids from '../lib/ids.mjs'

const vectors = (name) => jsonOf(`vectors/${name}.json`)
const bytes = (value) => fromHex(typeof value === 'string' ? value : value.repeat.repeat(value.times))
function same(actual, expected, name) {
  if (typeof expected === 'string') return assert.equal(toHex(actual), expected, name)
  if (expected.repeat !== undefined) return assert.equal(toHex(actual), toHex(bytes(expected)), name)
  assert.deepEqual({
    length: actual.length,
    blake2b_256: toHex(blake2b(actual, { dkLen: 32 })),
    first_32: toHex(actual.slice(0, 32)),
    last_32: toHex(actual.slice(-32))
  }, expected, name)
}

test('keys', () => {
  for (const v of vectors('keys').vectors) {
    const keys = deriveKeys(secretFromText(v.secret_text))
    same(keys.signSeed, v.sign_seed, v.name)
    same(keys.contentKey, v.content_key, v.name)
    same(keys.nonceKey, v.nonce_key, v.name)
    same(keys.doc, v.doc, v.name)
    assert.equal(keys.docText, v.doc_text)
  }
})

test('identifiers and base64url', () => {
  const file = vectors('ids')
  const text = (v) => v.text ?? textOf(fromHex(v.text_hex))
  for (const v of file.document_ids) assert.equal(ids.isDocumentId(text(v)), v.valid, v.name)
  for (const v of file.change_ids) assert.equal(ids.isChangeId(text(v)), v.valid, v.name)
  for (const v of file.cursors) assert.equal(ids.isCursor(text(v)), v.valid, v.name)
  for (const v of [...file.base64url, ...file.document_ids.filter((d) => d.valid)]) {
    const decoded = base64url.decode(text(v))
    assert.equal(decoded !== null, v.valid, v.name)
    if (!v.valid) continue
    same(decoded, v.bytes, v.name)
    assert.equal(base64url.encode(decoded), v.text)
  }
  for (const v of file.uuids) assert.equal(ids.uuid(fromHex(v.random)), v.uuid)
})

test('authorities', () => {
  for (const v of vectors('authority').vectors) {
    if (v.refused) assert.throws(() => authorityOf(v.url), TypeError, v.name)
    else assert.equal(authorityOf(v.url), v.authority, v.name)
  }
})

test('padding', () => {
  for (const v of vectors('padding').vectors) {
    assert.equal(paddedLength(v.plain), v.padded, v.name)
    assert.equal(envelopeLength(v.plain), v.envelope, v.name)
  }
})

test('envelopes are sealed and opened', () => {
  for (const v of vectors('envelope').valid) {
    const keys = deriveKeys(fromHex(v.secret))
    const plain = bytes(v.plain)
    same(associatedData(keys.doc, v.id), v.ad, v.name)
    if (v.padded) same(pad(plain), v.padded, v.name)
    const data = seal(keys, v.id, plain)
    same(data.slice(1, 25), v.nonce, v.name)
    same(data, v.data, v.name)
    assert.deepEqual(open(keys, v.id, data), plain, v.name)
  }
})

test('envelopes are refused', () => {
  for (const v of vectors('envelope').refused) {
    const keys = deriveKeys(fromHex(v.secret))
    assert.throws(() => open(keys, v.id, bytes(v.data)), { name: 'BadEnvelope', requirement: v.requirement }, v.name)
  }
})

test('proofs', () => {
  for (const v of vectors('proof').vectors) {
    const [doc, challenge, proof] = [v.doc, v.challenge, v.proof].map(fromHex)
    same(proofMessage(challenge, doc, v.authority), v.message, v.name)
    assert.equal(verify(proof, challenge, doc, v.authority), v.valid, v.name)
    if (v.secret) same(prove(deriveKeys(fromHex(v.secret)), challenge, v.authority), v.proof, v.name)
  }
})

test('digests', () => {
  const file = vectors('digest')
  for (const v of file.items) same(itemHash(v.id, bytes(v.data)), v.item_hash, v.name)
  for (const v of file.sums) {
    const sum = v.item_hashes.map(fromHex).reduce(add, 0n)
    assert.equal(v.item_hashes.length, v.count)
    same(digestBytes(sum), v.digest, v.name)
    assert.equal(digestText(sum), v.digest_text)
  }
})

test('cursors of appendix C', () => {
  const tag = documentTag(fromHex('1b933c3d4a2a246c4a0c95abfc95ed2bfac372952f5fa5dfc9fe45a0c95271f2'))
  const h1 = fromHex('dcd340f1ed30f4ffa65436b5caa26e8b5ba9be5b90a9e7c2e0b5c26d7915d716')
  const h2 = fromHex('305b44ec2c60e06faec5b0caea55bb9a0ff179ffb03ee9a24b39677c5d44a570')
  const sums = [0n, add(0n, h1), add(add(0n, h1), h2)]
  const texts = ['AAAAAAAAAABsJCpKPTyTGw', 'AAAAAAAAAAFsGFs4Ln1m9w', 'AAAAAAAAAALb-LtlGsHCJw']
  sums.forEach((sum, i) => assert.equal(cursorText(i, sumTag(sum), tag), texts[i]))
  texts.forEach((text, i) => assert.equal(claimedPosition(text), i))
  assert.equal(claimedPosition('x'), null)
})

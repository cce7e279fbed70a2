// Every file of fixtures/messages, read as its receiver reads it.
import test from 'node:test'
import assert from 'node:assert/strict'
import { bytesOf, jsonOf } from './fixtures.mjs'
import { textOf } from '../lib/bytes.mjs'
import { decodeEntry, decodeReply, decodeRequest } from '../lib/messages.mjs'

const index = jsonOf('messages/index.json')
const read = ({ file, from }) => {
  const text = textOf(bytesOf(`messages/${file}`))
  return from === 'client' ? decodeRequest(text) : decodeReply(text)
}

test('valid messages are understood', () => {
  for (const entry of index.valid) {
    if (entry.may_refuse) assert.throws(() => read(entry), { name: 'Violation' }, entry.file)
    else assert.equal(read(entry).type, entry.type, entry.file)
  }
})

// A receiver that knows no extension makes nothing of their names.
const meaning = (message) => (message.extensions ? { ...message, extensions: [] } : message)

test('messages that are the same to a receiver read the same', () => {
  for (const entry of index.valid.filter((e) => e.same_as && !e.may_refuse)) {
    const original = index.valid.find((e) => e.file === entry.same_as)
    assert.deepEqual(meaning(read(entry)), meaning(read(original)), entry.file)
  }
})

const NAMES = { violation: 'Violation', type: 'UnknownType', member: 'BadMember', 'utf-8': 'TypeError' }

test('invalid messages are refused for the right reason', () => {
  for (const entry of index.invalid.filter((e) => e.fault !== 'entry')) {
    assert.throws(() => read(entry), (error) => {
      assert.equal(error.name, NAMES[entry.fault], entry.file)
      assert.equal(error.pointer, entry.pointer, entry.file)
      const { code, ...named } = entry.answer ?? {}
      if (code && entry.fault !== 'violation') assert.deepEqual(JSON.parse(JSON.stringify(error.answer)), named, entry.file)
      return true
    })
  }
})

test('entries of a push are judged one by one', () => {
  for (const entry of index.invalid.filter((e) => e.fault === 'entry')) {
    const rejected = read(entry).changes.flatMap((change, i) => (decodeEntry(change) ? [] : [{ index: i, code: 'bad-change' }]))
    assert.deepEqual(rejected, entry.answer.rejected, entry.file)
  }
})

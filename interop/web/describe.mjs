// Changes in words, for those who can open them.
import { open } from '../lib/envelope.mjs'
import { decode } from '../lib/base64url.mjs'
import { describe } from './text.mjs'

const TOGETHER = 3 // changes of a message that are told in its row

export function describeOne(keys, { id, data }) {
  try {
    return describe(open(keys, id, decode(data)))
  } catch (error) {
    return `cannot be read: ${error.message}`
  }
}

export function describeAll(keys, changes) {
  const told = changes.slice(0, TOGETHER).map((change) => describeOne(keys, change))
  return told.join(', ') + (changes.length > TOGETHER ? ', …' : '')
}

// Strict reading of one JSON object (section 8.2). JSON.parse keeps the last of two members of one
// name and rounds numbers, so this is a reader of its own. Objects it makes have no prototype: a
// member called `__proto__` is a member like any other.
import { Violation } from './errors.mjs'

const MAX_DEPTH = 8
const MAX_MEMBERS = 64
const SPACE = /[ \t\n\r]*/y
const PLAIN = /[^"\\\u0000-\u001f]*/y
const INTEGER = /(?:0|[1-9][0-9]*)(?![0-9.eE])/y
const ESCAPES = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }
const LITERALS = { t: ['true', true], f: ['false', false], n: ['null', null] }

export function parse(text) {
  const reader = new Reader(text)
  const value = reader.value(1)
  reader.space()
  if (reader.at < text.length) reader.fail('more text after the value')
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new Violation('not an object')
  if (typeof value.type !== 'string') throw new Violation('no member `type` that is a string')
  return value
}

class Reader {
  constructor(text) {
    this.text = text
    this.at = 0
  }

  fail(what) {
    throw new Violation(`${what} at character ${this.at}`)
  }

  match(pattern) {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)
    if (found) this.at = pattern.lastIndex
    return found?.[0]
  }

  space() {
    this.match(SPACE)
    return this.text[this.at]
  }

  value(depth) {
    const first = this.space()
    if (first === '{') return this.object(depth)
    if (first === '[') return this.array(depth)
    if (first === '"') return this.string()
    if (first in LITERALS) return this.literal(...LITERALS[first])
    return this.integer()
  }

  literal(word, value) {
    if (!this.text.startsWith(word, this.at)) this.fail('no value')
    this.at += word.length
    return value
  }

  // Notations such as 1.0 or 1e2, which ASP-JSON-3 lets a receiver take, are violations here.
  integer() {
    const digits = this.match(INTEGER)
    if (digits === undefined) this.fail('no value, or a number that is not a plain integer')
    const value = Number(digits)
    if (digits.length > 16 || !Number.isSafeInteger(value)) this.fail('a number above 2^53 - 1')
    return value
  }

  array(depth) {
    if (depth > MAX_DEPTH) this.fail('nested too deeply')
    const elements = []
    this.at++
    if (this.space() === ']') return this.close(elements)
    for (;;) {
      elements.push(this.value(depth + 1))
      const next = this.space()
      if (next === ']') return this.close(elements)
      if (next !== ',') this.fail('neither `,` nor `]`')
      this.at++
    }
  }

  object(depth) {
    if (depth > MAX_DEPTH) this.fail('nested too deeply')
    const members = Object.create(null)
    this.at++
    if (this.space() === '}') return this.close(members)
    for (let count = 1; ; count++) {
      if (count > MAX_MEMBERS) this.fail('too many members')
      this.member(members, depth)
      const next = this.space()
      if (next === '}') return this.close(members)
      if (next !== ',') this.fail('neither `,` nor `}`')
      this.at++
    }
  }

  member(members, depth) {
    if (this.space() !== '"') this.fail('no member name')
    const name = this.string()
    if (name in members) this.fail('a second member of one name')
    if (this.space() !== ':') this.fail('no `:`')
    this.at++
    members[name] = this.value(depth + 1)
  }

  close(value) {
    this.at++
    return value
  }

  string() {
    this.at++
    const parts = []
    for (;;) {
      parts.push(this.match(PLAIN))
      const next = this.text[this.at]
      if (next === '"') break
      if (next !== '\\') this.fail('a string that does not end, or a control character in it')
      parts.push(this.escape())
    }
    this.at++
    return parts.length === 1 ? parts[0] : parts.join('')
  }

  escape() {
    const kind = this.text[this.at + 1]
    if (kind === 'u') return this.unicode()
    const char = Object.hasOwn(ESCAPES, kind) ? ESCAPES[kind] : this.fail('an unknown escape')
    this.at += 2
    return char
  }

  unicode() {
    const unit = this.unit()
    if (unit === 0) this.fail('\\u0000')
    if (unit >= 0xdc00 && unit < 0xe000) this.fail('half of a surrogate pair')
    if (unit < 0xd800 || unit >= 0xe000) return String.fromCharCode(unit)
    const low = this.text.startsWith('\\u', this.at) ? this.unit() : 0
    if (low < 0xdc00 || low >= 0xe000) this.fail('half of a surrogate pair')
    return String.fromCharCode(unit, low)
  }

  unit() {
    const digits = this.text.slice(this.at + 2, this.at + 6)
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.fail('a broken \\u escape')
    this.at += 6
    return parseInt(digits, 16)
  }
}

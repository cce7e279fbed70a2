// The messages of section 10: for each type its members, each with a reader. A reader gets the value
// and its JSON Pointer and returns what the receiver uses, or throws BadMember. Members without a
// reader are dropped; bytes come out as Uint8Array.
import { BadMember, UnknownType } from './errors.mjs'
import { isChangeId, isCursor, isDocumentId } from './ids.mjs'
import { utf8Length } from './bytes.mjs'
import * as base64url from './base64url.mjs'
import * as json from './json.mjs'

export const PROTOCOL = 'athena-sync.v1'

const isText = (value) => typeof value === 'string'
const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value)
const bad = (value, pointer, what) => new BadMember(pointer, value === undefined ? 'missing' : what)

const that = (holds, what) => (value, pointer) => {
  if (!holds(value)) throw bad(value, pointer, what)
  return value
}
const sized = (least, most, what) => that((value) => isText(value) && utf8Length(value) >= least && utf8Length(value) <= most, what)
const matching = (fits, what) => that((value) => isText(value) && fits(value), what)

const integer = that(Number.isInteger, 'not an integer')
const atLeastOne = that((value) => Number.isInteger(value) && value >= 1, 'not an integer of at least 1')
const flag = that((value) => typeof value === 'boolean', 'neither true nor false')
const text = that(isText, 'not a string')
const documentId = matching(isDocumentId, 'not a document id')
const changeId = matching(isChangeId, 'not a change id')
const cursor = matching(isCursor, 'not a cursor')
const code = matching((value) => value.length <= 64 && /^[a-z][a-z0-9-]*$/.test(value), 'not a code')
const filled = that((value) => Array.isArray(value) && value.length > 0, 'not an array of at least one element')

const bytes = (fits, what) => (value, pointer) => {
  const decoded = isText(value) ? base64url.decode(value) : null
  if (decoded === null || !fits(decoded.length)) throw bad(value, pointer, `not ${what} as canonical base64url`)
  return decoded
}
const exactly = (length) => bytes((n) => n === length, `${length} bytes`)
const envelope = bytes((n) => n > 0, 'at least one byte')

const optional = (inner, otherwise) => (value, pointer) => (value === undefined ? otherwise : inner(value, pointer))

const members = (table) => (value, pointer) => {
  if (!isObject(value)) throw bad(value, pointer, 'not an object')
  const read = {}
  for (const [name, inner] of Object.entries(table)) {
    const member = inner(value[name], `${pointer}/${name}`, value)
    if (member !== undefined) read[name] = member
  }
  return read
}

const list = (inner, least = 0, most = Infinity) => (value, pointer) => {
  if (!Array.isArray(value)) throw bad(value, pointer, 'not an array')
  if (value.length < least || value.length > most) throw new BadMember(pointer, `${value.length} elements`)
  return value.map((element, i) => inner(element, `${pointer}/${i}`))
}

const change = members({ id: changeId, data: envelope })

const page = (inner, other) => (value, pointer, message) => {
  const both = value !== undefined && message[other] !== undefined
  const neither = value === undefined && message[other] === undefined
  if (both || neither) throw new BadMember('/ids', '`ids` and `changes` are both there, or neither is')
  return value === undefined ? undefined : list(inner)(value, pointer)
}

const more = (value, pointer, message) => {
  const entries = message.ids ?? message.changes
  if (flag(value, pointer) && entries.length === 0) throw new BadMember(pointer, 'true after an empty page')
  return value
}

const reply = { req: integer, doc: documentId }

const REQUESTS = {
  open: { authority: sized(1, 261, 'not a string of 1 to 261 bytes'), proof: exactly(64) },
  list: { after: optional(text), limit: optional(atLeastOne), data: optional(flag, false) },
  get: { ids: list(changeId, 1) },
  push: { changes: filled },
  close: {}
}

const REPLIES = {
  welcome: {
    protocol: that((value) => value === PROTOCOL, `not ${PROTOCOL}`),
    server: sized(1, 128, 'not a string of 1 to 128 bytes'),
    challenge: exactly(32),
    limits: members({ message: integer, message_before_open: integer, change: integer, batch: integer, docs: integer }),
    extensions: list(text, 0, 32)
  },
  opened: { ...reply, count: integer, digest: exactly(32), cursor },
  listed: { ...reply, ids: page(changeId, 'changes'), changes: page(change, 'ids'), cursor, more },
  got: { ...reply, changes: list(change), missing: list(changeId) },
  pushed: { ...reply, duplicates: list(integer), rejected: list(members({ index: integer, code })) },
  changed: { doc: documentId, changes: list(change, 1), cursor },
  closed: reply,
  error: {
    req: optional(integer),
    doc: optional(documentId),
    code,
    message: sized(1, 512, 'not a string of 1 to 512 bytes'),
    retry_after_ms: optional(integer)
  }
}

function readOrNothing(reader, value) {
  try {
    return reader(value, '')
  } catch {
    return undefined
  }
}

/** Throws the first fault of steps 2 to 6 of section 9.3, with the `req` and `doc` that the answer names. */
export function decodeRequest(text) {
  const message = json.parse(text)
  const answer = { req: readOrNothing(integer, message.req), doc: readOrNothing(documentId, message.doc) }
  try {
    if (!Object.hasOwn(REQUESTS, message.type)) throw new UnknownType(message.type)
    return { type: message.type, ...members({ ...reply, ...REQUESTS[message.type] })(message, '') }
  } catch (error) {
    if (error.pointer === '/req') delete answer.doc
    throw Object.assign(error, { answer })
  }
}

/** A message from a server; throws Violation, BadMember, or UnknownType for one to be ignored. */
export function decodeReply(text) {
  const message = json.parse(text)
  if (!Object.hasOwn(REPLIES, message.type)) throw new UnknownType(message.type)
  return { type: message.type, ...members(REPLIES[message.type])(message, '') }
}

/** An entry of a `push` as { id, data: bytes }, or null when it is malformed (section 10.5). */
export function decodeEntry(entry) {
  if (!isObject(entry) || !isText(entry.id) || !isText(entry.data) || !isChangeId(entry.id)) return null
  const data = base64url.decode(entry.data)
  return data && data.length > 0 ? { id: entry.id, data } : null
}

export const encodeChange = ({ id, data }) => ({ id, data: base64url.encode(data) })

/** More than a message takes besides its ids and changes. */
export const SPARE = 512

/** Bytes that a change of `size` bytes of envelope takes in a message, its comma included. */
export const changeSize = (id, size) => id.length + base64url.encodedLength(size) + 20

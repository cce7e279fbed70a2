// Identifiers (section 3).
import { toHex, random } from './bytes.mjs'

const DOCUMENT = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/
const CHANGE = /^([0-9a-f]{2}){1,64}:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const CURSOR = /^[A-Za-z0-9_-]{1,64}$/
const ACTOR = /^([0-9a-f]{2}){1,64}$/

export const isDocumentId = (text) => DOCUMENT.test(text)
export const isChangeId = (text) => text.length <= 165 && CHANGE.test(text)
export const isCursor = (text) => CURSOR.test(text)
export const isActor = (text) => ACTOR.test(text)

/** The version 4 UUID that RFC 9562 makes of 16 random bytes. */
export function uuid(bytes = random(16)) {
  const marked = Uint8Array.from(bytes)
  marked[6] = 0x40 | (marked[6] & 0x0f)
  marked[8] = 0x80 | (marked[8] & 0x3f)
  return toHex(marked).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

export const newChangeId = (actor) => `${actor}:${uuid()}`
export const actorOf = (changeId) => changeId.slice(0, changeId.indexOf(':'))

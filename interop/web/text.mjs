// One Automerge text, and how edits of a text field become changes of it and back.
import * as Automerge from '@automerge/automerge'
import { number, several } from './words.mjs'

// Every device begins with this very change, the same bytes on each: two that made a text of their own
// would have two texts in conflict.
function seed() {
  const empty = Automerge.init({ actor: '00' })
  return Automerge.getLastLocalChange(Automerge.change(empty, { time: 0 }, (doc) => { doc.text = '' }))
}

const isLow = (unit) => unit >= 0xdc00 && unit < 0xe000

// Code units that one change inserts, or removes, at most: with any text it stays far below the least
// `limits.change` that servers should announce, and one too large would keep all later ones from being read.
const MOST = 32768
const TOLD = 16384 // bytes of a change that is worth being told in words
const SHOWN = 80 // characters of what it writes

/** Where two texts differ: { at, removed, inserted }, never within a character of two code units. */
export function difference(before, after) {
  const shorter = Math.min(before.length, after.length)
  let at = 0
  while (at < shorter && before[at] === after[at]) at++
  if (at > 0 && (isLow(before.charCodeAt(at)) || isLow(after.charCodeAt(at)))) at--
  let end = 0
  while (end < shorter - at && before.at(-1 - end) === after.at(-1 - end)) end++
  if (end > 0 && isLow(before.charCodeAt(before.length - end))) end--
  return { at, removed: before.length - at - end, inserted: after.slice(at, after.length - end) }
}

/** Where a position of a text is after splices of it. */
export function moved(position, splices) {
  return splices.reduce((now, { at, removed, inserted }) => {
    if (now <= at) return now
    return now >= at + removed ? now - removed + inserted.length : at
  }, position)
}

// How many of so many units from `at` on one change takes.
function portion(text, at, wanted) {
  const most = Math.min(wanted, MOST)
  return most < wanted && isLow(text.charCodeAt(at + most)) ? most - 1 : most
}

// A patch of Automerge as a splice of the text; those of the seed's own making are none.
function spliceOf({ action, path: [, at], value, length = 1 }) {
  return action === 'splice' ? { at, removed: 0, inserted: value } : { at, removed: length, inserted: '' }
}

export class Text {
  #doc

  constructor() {
    [this.#doc] = Automerge.applyChanges(Automerge.init(), [seed()]) // a fresh actor each time
  }

  toString() {
    return this.#doc.text
  }

  get actor() {
    return Automerge.getActorId(this.#doc)
  }

  /** Makes splices, each of what those before have left; the changes that do so. */
  splice(splices) {
    const changes = []
    for (let { at, removed, inserted } of splices) {
      while (removed > 0 || inserted !== '') {
        const out = portion(this.#doc.text, at, removed)
        const into = inserted.slice(0, portion(inserted, 0, inserted.length))
        this.#doc = Automerge.change(this.#doc, { time: 0 }, (doc) => Automerge.splice(doc, ['text'], at, out, into))
        changes.push(Automerge.getLastLocalChange(this.#doc))
        at += into.length
        removed -= out
        inserted = inserted.slice(into.length)
      }
    }
    return changes
  }

  /** Takes changes from elsewhere, those that are there already without harm; the splices that they make. */
  apply(changes) {
    const splices = []
    const patchCallback = (patches) => { for (const patch of patches) splices.push(spliceOf(patch)) }
    ;[this.#doc] = Automerge.applyChanges(this.#doc, changes, { patchCallback })
    return splices
  }
}

/** What a change does, in words, from its bytes alone. */
export function describe(bytes) {
  if (bytes.length > TOLD) return `writes or removes much, ${several(bytes.length, 'byte')}`
  const { ops } = Automerge.decodeChange(bytes)
  const inserted = ops.filter(({ action, insert }) => action === 'set' && insert).map(({ value }) => value).join('')
  const removed = ops.filter(({ action }) => action === 'del').length
  return [inserted && `writes ${quoted(inserted)}`, removed > 0 && `removes ${number(removed)}`].filter(Boolean).join(', ')
}

function quoted(text) {
  return text.length > SHOWN ? `“${text.slice(0, SHOWN)}…” (${number(text.length)} characters)` : `“${text}”`
}

/** Throws for what is no change. */
export function validate(id, bytes) {
  Automerge.decodeChange(bytes)
}

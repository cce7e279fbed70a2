// One Automerge text, and how edits of a text field become changes of it and back.
import * as Automerge from '@automerge/automerge'

// Every device begins with this very change, the same bytes on each: two that made a text of their own
// would have two texts in conflict.
function seed() {
  const empty = Automerge.init({ actor: '00' })
  return Automerge.getLastLocalChange(Automerge.change(empty, { time: 0 }, (doc) => { doc.text = '' }))
}

const isLow = (unit) => unit >= 0xdc00 && unit < 0xe000

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

  /** Makes it say `text`; the change, or null when it says so already. */
  edit(text) {
    const { at, removed, inserted } = difference(this.#doc.text, text)
    if (removed === 0 && inserted === '') return null
    this.#doc = Automerge.change(this.#doc, { time: 0 }, (doc) => Automerge.splice(doc, ['text'], at, removed, inserted))
    return Automerge.getLastLocalChange(this.#doc)
  }

  /** Changes from elsewhere; those that are there already do no harm. */
  apply(changes) {
    [this.#doc] = Automerge.applyChanges(this.#doc, changes)
  }

  /** Marks a position, so that `positionOf` finds it again when others have written before it. */
  mark(position) {
    return position === 0 ? null : Automerge.getCursor(this.#doc, ['text'], position - 1)
  }

  positionOf(mark) {
    return mark === null ? 0 : Math.min(Automerge.getCursorPosition(this.#doc, ['text'], mark) + 1, this.#doc.text.length)
  }
}

/** What a change does, in words, from its bytes alone. */
export function describe(bytes) {
  const { ops } = Automerge.decodeChange(bytes)
  const inserted = ops.filter(({ action, insert }) => action === 'set' && insert).map(({ value }) => value).join('')
  const removed = ops.filter(({ action }) => action === 'del').length
  return [inserted && `writes “${inserted}”`, removed > 0 && `removes ${removed}`].filter(Boolean).join(', ')
}

/** Throws for what is no change. */
export function validate(id, bytes) {
  Automerge.decodeChange(bytes)
}

// The text field of a device: what is written in it becomes changes, what others write comes into it,
// and undo takes back what was written here.
import { History } from './history.mjs'
import { difference, moved, Text } from './text.mjs'

const TURNS = { historyUndo: 'undo', historyRedo: 'redo' }

export class Editor {
  #field
  #keep
  #text = new Text()
  #history = new History()
  #arrived = []
  #isComposing = false
  #latest = null // where the edit before ended, and whether letters were typed: { end, typed, composed }

  /** `keep(changes)` is called with what is written here, { actor, data }. */
  constructor(field, keep) {
    this.#field = field
    this.#keep = keep
    field.addEventListener('input', ({ inputType }) => this.#edited(inputType))
    field.addEventListener('beforeinput', (event) => this.#turn(TURNS[event.inputType], event))
    field.addEventListener('keydown', (event) => this.#turn(turnOf(event), event))
    field.addEventListener('compositionstart', () => { this.#isComposing = true })
    field.addEventListener('compositionend', () => this.#composed())
  }

  /** A change from elsewhere; `show` puts it into the field. */
  receive(data) {
    this.#arrived.push(data)
  }

  /** Shows what came, all at once; not within a word that an input method is still at, which would come twice. */
  show() {
    if (this.#arrived.length === 0 || this.#isComposing) return
    const splices = this.#text.apply(this.#arrived.splice(0))
    if (splices.length === 0) return
    for (const splice of splices) this.#history.changed(splice)
    this.#latest = null
    const { selectionStart, selectionEnd, selectionDirection } = this.#field
    this.#write(moved(selectionStart, splices), moved(selectionEnd, splices), selectionDirection)
  }

  #write(start, end, direction) {
    const { scrollTop } = this.#field
    this.#field.value = this.#text.toString()
    this.#field.setSelectionRange(start, end, direction)
    this.#field.scrollTop = scrollTop
  }

  #edited(inputType) {
    const before = this.#text.toString()
    const splice = difference(before, this.#field.value.replace(/\p{Surrogate}/gu, '\ufffd')) // half a character is no text
    if (splice.removed === 0 && splice.inserted === '') return
    this.#history.edited(splice, before, this.#joins(splice, inputType, before))
    this.#latest = { end: splice.at + splice.inserted.length, typed: inputType === 'insertText', composed: this.#isComposing }
    this.#make([splice])
  }

  // The letters of a word, and the space behind it, are taken back together, and so is all that one
  // composition wrote; not what was pasted before them.
  #joins({ at, removed, inserted }, inputType, before) {
    if (this.#latest === null || this.#latest.composed !== this.#isComposing) return false
    const isTyping = this.#latest.typed && inputType === 'insertText' && removed === 0 && at === this.#latest.end
    const beginsWord = /\s/.test(before[at - 1] ?? ' ') && /\S/.test(inserted)
    return this.#isComposing || (isTyping && !beginsWord)
  }

  #make(splices) {
    const { actor } = this.#text
    this.#keep(this.#text.splice(splices).map((data) => ({ actor, data })))
  }

  // Some browsers tell the last input only after the end of the composition.
  #composed() {
    setTimeout(() => {
      this.#isComposing = false
      this.#latest = null
      this.show()
    })
  }

  // The browser's own undo knows positions, not who wrote what is there.
  #turn(turn, event) {
    if (turn === undefined) return
    event.preventDefault()
    if (this.#isComposing) return
    for (let splices = []; splices?.length === 0;) {
      splices = this.#history[turn](this.#text.toString())
      if (splices?.length > 0) this.#make(splices)
      const last = splices?.at(-1)
      if (last) this.#write(last.at + last.inserted.length, last.at + last.inserted.length)
    }
    this.#latest = null
  }
}

function turnOf({ key, ctrlKey, metaKey, shiftKey, altKey, isComposing }) {
  if (isComposing || altKey || !(ctrlKey || metaKey)) return undefined
  const letter = key.toLowerCase()
  if (letter === 'z') return shiftKey ? 'redo' : 'undo'
  return letter === 'y' && !shiftKey ? 'redo' : undefined
}

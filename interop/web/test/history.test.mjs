// What undo and redo do, without a browser: any edits of this device, any of others among them.
import test from 'node:test'
import assert from 'node:assert/strict'
import { History } from '../history.mjs'
import { moved } from '../text.mjs'

const START = 'abcdefghij'

/** A text with its history, and a source of edits that is the same for the same seed. */
class Scene {
  text = START
  foreign = new Set(START) // characters that this device did not write, and that nobody else has removed
  #history = new History()
  #next = 0x4e00 // each character that is written is a new one
  #state

  constructor(seed) {
    this.#state = seed
    this.#history.changed({ at: 0, removed: 0, inserted: START })
  }

  random(below) {
    this.#state = (this.#state * 1103515245 + 12345) % 2 ** 31
    return Math.floor(this.#state / 256) % below
  }

  edit(isOwn, joins = false) {
    const at = this.random(this.text.length + 1)
    const removed = this.random(3) === 0 ? Math.min(this.random(5), this.text.length - at) : 0
    const inserted = Array.from({ length: this.random(4) }, () => String.fromCharCode(this.#next++)).join('')
    const splice = { at, removed, inserted }
    if (isOwn) this.#history.edited(splice, this.text, joins)
    else {
      this.#history.changed(splice)
      for (const letter of this.text.slice(at, at + removed)) this.foreign.delete(letter)
      for (const letter of inserted) this.foreign.add(letter)
    }
    this.#make([splice])
  }

  /** Undoes, or redoes, once; whether there was something to do. */
  turn(direction) {
    const splices = this.#history[direction](this.text)
    this.#make(splices ?? [])
    return splices !== null
  }

  #make(splices) {
    for (const { at, removed, inserted } of splices) this.text = this.text.slice(0, at) + inserted + this.text.slice(at + removed)
  }
}

const RUNS = 500
const EDITS = 20
const sorted = (letters) => [...letters].sort().join('')

test('alone, undo and redo go through the same texts', () => {
  for (let run = 1; run <= RUNS; run++) {
    const scene = new Scene(run)
    const texts = [scene.text]
    for (let i = 0; i < EDITS; i++) {
      scene.edit(true)
      texts.push(scene.text)
    }
    for (const text of texts.slice(0, -1).reverse()) assert.deepEqual([scene.turn('undo'), scene.text], [true, text], `run ${run}`)
    assert.equal(scene.turn('undo'), false)
    for (const text of texts.slice(1)) assert.deepEqual([scene.turn('redo'), scene.text], [true, text], `run ${run}`)
    assert.equal(scene.turn('redo'), false)
  }
})

test('undo leaves exactly what others have written, wherever they wrote, and redo brings back the rest', () => {
  for (let run = 1; run <= RUNS; run++) {
    const scene = new Scene(run)
    for (let i = 0; i < EDITS; i++) scene.edit(scene.random(3) > 0)
    const all = sorted(scene.text)
    while (scene.turn('undo'));
    assert.equal(sorted(scene.text), sorted(scene.foreign), `run ${run}`)
    while (scene.turn('redo'));
    assert.equal(sorted(scene.text), all, `run ${run}`)
  }
})

test('so it is when others write between undo and redo', () => {
  for (let run = 1; run <= RUNS; run++) {
    const scene = new Scene(run)
    for (let i = 0; i < EDITS; i++) scene.edit(scene.random(3) > 0)
    for (let i = 0; i < EDITS; i++) {
      if (scene.random(2) === 0) scene.edit(false)
      else scene.turn(scene.random(3) > 0 ? 'undo' : 'redo')
    }
    while (scene.turn('undo'));
    assert.equal(sorted(scene.text), sorted(scene.foreign), `run ${run}`)
  }
})

test('letters in a row, and what a composition wrote over and over, are undone together', () => {
  const history = new History()
  history.changed({ at: 0, removed: 0, inserted: 'old' })
  history.edited({ at: 0, removed: 3, inserted: 'に' }, 'old', false)
  history.edited({ at: 0, removed: 1, inserted: 'にほ' }, 'に', true)
  history.changed({ at: 0, removed: 0, inserted: 'X' })
  history.edited({ at: 1, removed: 2, inserted: '日本' }, 'Xにほ', true)
  assert.deepEqual(history.undo('X日本'), [{ at: 1, removed: 2, inserted: 'old' }])
  assert.equal(history.undo('Xold'), null)
  assert.deepEqual(history.redo('Xold'), [{ at: 1, removed: 3, inserted: '日本' }])
})

test('an edit ends what can be redone', () => {
  const scene = new Scene(1)
  for (let i = 0; i < EDITS; i++) scene.edit(true)
  scene.turn('undo')
  scene.edit(true)
  assert.equal(scene.turn('redo'), false)
})

test('a position stays with the letter before it', () => {
  assert.equal(moved(5, [{ at: 0, removed: 0, inserted: 'xy' }]), 7)
  assert.equal(moved(5, [{ at: 5, removed: 0, inserted: 'xy' }]), 5)
  assert.equal(moved(5, [{ at: 2, removed: 2, inserted: '' }, { at: 0, removed: 1, inserted: '' }]), 2)
  assert.equal(moved(5, [{ at: 3, removed: 9, inserted: '' }]), 3)
})

// The editing session that every cell of the matrix syncs, as Automerge changes: two people's 26,078
// edits, recorded (the friendsforever trace of josephg/editing-traces, CC BY 4.0) or, where the
// recording is not at hand, made up from a fixed seed.
import { existsSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import * as Automerge from '@automerge/automerge'

const LENGTH = 26_078
const DELAY = 40 // edits that a made-up author does not see yet, at most

/** { source, text, changes: [{ author, actor, bytes }] }, of the recording at `path` if there is one. */
export function session(path) {
  if (!existsSync(path)) return { source: `made up, since ${path} is not there`, ...makeUp() }
  const { numAgents, txns, endContent } = JSON.parse(gunzipSync(readFileSync(path)))
  return { source: 'recorded', text: endContent, changes: replay(numAgents, txns) }
}

// One person: a document, and which transactions are in it.
class Author {
  constructor(index) {
    this.actor = `0${index + 1}`.repeat(16)
    this.doc = Automerge.init({ actor: this.actor })
    this.has = new Set()
  }

  // Takes over what a transaction stands on and this author has not got, oldest first.
  receive(parents, txns, changes) {
    const lacking = []
    for (const stack = [...parents]; stack.length > 0;) {
      const index = stack.pop()
      if (this.has.has(index)) continue
      this.has.add(index)
      lacking.push(index)
      stack.push(...txns[index].parents)
    }
    if (lacking.length === 0) return
    lacking.sort((a, b) => a - b)
    ;[this.doc] = Automerge.applyChanges(this.doc, lacking.map((index) => changes[index]))
  }

  edit(index, patches) {
    this.doc = Automerge.change(this.doc, { time: index }, (doc) => {
      if (index === 0) doc.text = ''
      for (const [at, deleted, inserted] of patches) Automerge.splice(doc, ['text'], at, deleted, inserted)
    })
    this.has.add(index)
    return Automerge.getLastLocalChange(this.doc)
  }
}

// One Automerge change for each transaction, its author having seen exactly what the trace says.
function replay(count, txns) {
  const authors = Array.from({ length: count }, (_, index) => new Author(index))
  const changes = []
  return txns.map(({ agent, parents, patches }, index) => {
    authors[agent].receive(parents, txns, changes)
    changes.push(authors[agent].edit(index, patches))
    return { author: agent, actor: authors[agent].actor, bytes: changes[index] }
  })
}

// Two people who type, now here, now there, each seeing what the other did a while ago.
function makeUp() {
  const random = generator()
  const authors = [new Author(0), new Author(1)]
  const txns = []
  const changes = []
  let agent = 0
  for (let index = 0; index < LENGTH; index++) {
    if (random(10) === 0) agent = 1 - agent
    const author = authors[agent]
    const parents = index > 0 ? [Math.max(0, index - 1 - random(DELAY)), author.last ?? 0] : []
    author.receive(parents, txns, changes)
    txns.push({ parents, author: agent, actor: author.actor })
    changes.push(author.edit(index, [keystroke(author, random)]))
    author.last = index
  }
  const [merged] = Automerge.applyChanges(Automerge.init(), changes)
  return { text: merged.text, changes: changes.map((bytes, index) => ({ ...txns[index], bytes })) }
}

// A letter or, one time in five, a deletion, where the author is at; now and then that is elsewhere.
function keystroke(author, random) {
  const length = author.doc.text?.length ?? 0
  if (random(50) === 0 || !(author.at <= length)) author.at = random(length + 1)
  if (random(5) === 0 && author.at > 0) return [--author.at, 1, '']
  return [author.at++, 0, String.fromCharCode(97 + random(26))]
}

// Whole numbers below a bound, the same ones in every run.
function generator() {
  let state = 1
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

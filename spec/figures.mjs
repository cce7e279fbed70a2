// The figures of rationale.md, computed again: node spec/figures.mjs TRACE.json.gz
//
// TRACE is a concurrent editing trace in the format of the public collection
// josephg/editing-traces; rationale.md uses friendsforever. Needs `make interop-deps`.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { gunzipSync, deflateRawSync } from 'node:zlib'

const require = createRequire(new URL('../interop/package.json', import.meta.url))
const Automerge = require('@automerge/automerge')

const ENVELOPE_OVERHEAD = 1 + 24 + 16
const ID_LEN = 32 + 1 + 36

function padme(m) {
  const e = Math.floor(Math.log2(m))
  const unit = 2 ** (e - Math.floor(Math.log2(e)) - 1)
  return Math.ceil(m / unit) * unit
}
const padded = (n, floor = 128) => Math.max(floor, padme(n + 1))
const sum = (list, of = (n) => n) => list.reduce((total, n) => total + of(n), 0)
const percent = (ratio) => `${(100 * ratio).toFixed(1)} %`

// One Automerge change for each transaction, each author seeing what the trace says it saw.
function replay(trace) {
  const empty = Automerge.from({ text: '' }, { actor: '00'.repeat(16) })
  const authors = Array.from({ length: trace.numAgents }, (_, i) => ({
    doc: Automerge.clone(empty, { actor: (i + 1).toString(16).padStart(2, '0').repeat(16) }),
    seen: new Set(),
  }))
  const changes = []
  const merge = (author, heads) => {
    const lacking = []
    for (const stack = [...heads]; stack.length; ) {
      const index = stack.pop()
      if (author.seen.has(index)) continue
      author.seen.add(index)
      lacking.push(index)
      stack.push(...trace.txns[index].parents)
    }
    lacking.sort((a, b) => a - b)
    if (lacking.length)
      [author.doc] = Automerge.applyChanges(author.doc, lacking.map((i) => changes[i]))
  }
  trace.txns.forEach(({ agent, parents, patches }, index) => {
    const author = authors[agent]
    merge(author, parents)
    author.doc = Automerge.change(author.doc, { time: 0 }, (doc) => {
      for (const [at, deleted, inserted] of patches)
        Automerge.splice(doc, ['text'], at, deleted, inserted)
    })
    changes.push(Automerge.getLastLocalChange(author.doc))
    author.seen.add(index)
  })
  merge(authors[0], changes.keys())
  if (authors[0].doc.text !== trace.endContent) throw new Error('the replay does not end as it should')
  return { changes, saved: Automerge.save(authors[0].doc).length }
}

function entropyBits(values) {
  const counts = new Map()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return -sum([...counts.values()], (n) => (n / values.length) * Math.log2(n / values.length))
}

function report({ changes, saved }) {
  const sizes = changes.map((change) => change.length)
  const sorted = [...sizes].sort((a, b) => a - b)
  const at = (p) => sorted[Math.floor(p * (sorted.length - 1))]
  const envelopes = sizes.map((n) => padded(n) + ENVELOPE_OVERHEAD)
  const entry = (n) => '{"id":"","data":""},'.length + ID_LEN + Math.ceil((n * 4) / 3)
  const plain = sum(sizes), json = sum(envelopes, entry)
  const binary = sum(envelopes, (n) => n + 16 + 16 + 4)
  console.log(`changes ${sizes.length}, bytes ${plain}, mean ${(plain / sizes.length).toFixed(1)}`)
  console.log(`size min ${at(0)}, median ${at(0.5)}, p90 ${at(0.9)}, p99 ${at(0.99)}, max ${at(1)}`)
  for (const [name, lengths] of [
    ['no padding', sizes],
    ['floor 128', sizes.map((n) => padded(n))],
    ['floor 256', sizes.map((n) => padded(n, 256))],
  ])
    console.log(`${name}: ${sum(lengths)} bytes (+${percent(sum(lengths) / plain - 1)}), ` +
      `${new Set(lengths).size} lengths, ${entropyBits(lengths).toFixed(2)} bits`)
  console.log(`envelopes ${sum(envelopes)}`)
  console.log(`as JSON ${json} (${(json / sizes.length).toFixed(0)} a change), in binary frames ` +
    `${binary} (${(binary / sizes.length).toFixed(0)}): x${(json / binary).toFixed(2)}`)
  const deflated = sum(changes, (change) => Math.min(change.length, deflateRawSync(change).length))
  console.log(`each change deflated alone: ${percent(deflated / plain)} of its size`)
  console.log(`whole document ${saved} bytes; sent anew with each change about ` +
    `${((saved * sizes.length) / 2 / 1e6).toFixed(0)} MB`)
  let worst = 0
  for (let m = 129; m < 1 << 22; m++) worst = Math.max(worst, padme(m) / m - 1)
  console.log(`PADME at most +${percent(worst)} from 129 bytes to 4 MiB`)
}

const path = process.argv[2]
if (!path) {
  console.error('usage: node spec/figures.mjs TRACE.json.gz')
  process.exit(2)
}
report(replay(JSON.parse(gunzipSync(readFileSync(path)))))

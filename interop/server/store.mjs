// The logs of all documents: an index in memory over one file on disk. Pushes that arrive while a
// commit is under way are committed together, with one fsync; nothing is visible before it.
//
// A record of the file is one group of pushes: entry*, each
//   doc (32) ‖ length of id (1) ‖ id ‖ item hash (32) ‖ length of data (4, little-endian) ‖ data
import { mkdirSync, promises } from 'node:fs'
import { join } from 'node:path'
import { LogFile } from '../node/logfile.mjs'
import { lockFolder } from '../node/lock.mjs'
import { claimedPosition, cursorText, documentTag, sumTag } from '../lib/cursor.mjs'
import { add, digestText, itemHash } from '../lib/digest.mjs'
import * as base64url from '../lib/base64url.mjs'

const GROUP_BYTES = 16 << 20 // a group takes no further push once it has so many bytes

/** The log of one document, as far as it is visible. Position n is entries[n - 1]. */
class Log {
  constructor(doc) {
    this.doc = doc
    this.tag = documentTag(doc)
    this.entries = []
    this.positions = new Map() // change id to position
    this.sum = 0n
    this.bytes = 0
  }

  get length() {
    return this.entries.length
  }

  get digest() {
    return digestText(this.sum)
  }

  find(id) {
    return this.entries[this.positions.get(id) - 1]
  }

  cursor(position) {
    const tag = position === 0 ? 0n : this.entries[position - 1].sumTag
    return cursorText(position, tag, this.tag)
  }

  /** The position that a cursor names, or null when it names none of this log. */
  position(cursor) {
    const position = claimedPosition(cursor)
    return position !== null && position <= this.length && this.cursor(position) === cursor ? position : null
  }

  append({ id, item, offset, size, origin }) {
    this.sum = add(this.sum, item)
    this.entries.push({ id, offset, size, origin, sumTag: sumTag(this.sum) })
    this.positions.set(id, this.length)
    this.bytes += size
  }
}

export class Store {
  #file
  #unlock
  #folder
  #logs = new Map()
  #quota
  #jobs = []
  #writing = null
  #broken = false

  /** `onCommit(docs)` is called after each commit with the documents whose logs have grown. */
  constructor(folder, { maxDocumentBytes, maxBytes, minFreeBytes, onCommit }) {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    this.#folder = folder
    this.#quota = { maxDocumentBytes, maxBytes, minFreeBytes, full: false }
    this.onCommit = onCommit
    this.#unlock = lockFolder(folder)
    try {
      this.#file = new LogFile(join(folder, 'changes.log'), (payload, offset) => this.#load(payload, offset))
    } catch (error) {
      this.#unlock()
      throw error
    }
  }

  get droppedBytes() {
    return this.#file.dropped
  }

  /** The log of a document, an empty one when nothing was ever stored of it. */
  log(doc) {
    return this.#logs.get(doc) ?? new Log(base64url.decode(doc))
  }

  read(entry) {
    return this.#file.read(entry.offset, entry.size)
  }

  /**
   * Stores entries ({ id, data }, or null for a malformed one). `done` is called with { duplicates,
   * rejected } when all that was not rejected is on stable storage, or { failed: true }; always
   * before `onCommit`, so that an answer is sent before live changes whose cursor covers it.
   */
  push({ doc, entries, limit, origin }, done) {
    this.#jobs.push({ doc, entries, limit, origin, done })
    this.#writing ??= this.#work()
  }

  async close() {
    await this.#writing
    this.#file.close()
    this.#unlock()
  }

  async #work() {
    await null // let the pushes of this turn come together
    while (this.#jobs.length > 0) {
      this.#quota.full = await this.#isFull()
      await this.#commit(this.#stage())
    }
    this.#writing = null
  }

  async #isFull() {
    if (this.#file.size >= this.#quota.maxBytes) return true
    try {
      const { bavail, bsize } = await promises.statfs(this.#folder)
      return bavail * bsize < this.#quota.minFreeBytes
    } catch {
      return false // it cannot be told (Node before 18.15): the write itself will find out
    }
  }

  /** Judges waiting pushes as if those before had been stored, up to a group's size. */
  #stage() {
    const group = { logs: new Map(), bytes: 0, jobs: [] }
    while (this.#jobs.length > 0 && group.bytes < GROUP_BYTES) {
      const job = this.#jobs.shift()
      const outcome = this.#judgeSafely(job, group)
      if (outcome.waits) group.jobs.push({ job, outcome })
      else job.done(outcome)
    }
    return group
  }

  #judgeSafely(job, group) {
    try {
      return this.#judge(job, group)
    } catch (error) {
      console.error(`cannot read: ${error.message}`)
      return { failed: true }
    }
  }

  #judge({ doc, entries, limit, origin }, group) {
    const staged = group.logs.get(doc) ?? { log: this.log(doc), added: new Map(), bytes: 0 }
    const outcome = { duplicates: [], rejected: [], waits: false }
    entries.forEach((entry, index) => {
      const code = this.#verdict(entry, staged, limit)
      if (entry && staged.added.has(entry.id)) outcome.waits = true
      if (code === 'duplicate') outcome.duplicates.push(index)
      else if (code !== null) outcome.rejected.push({ index, code })
      else this.#add(entry, origin, staged, group, outcome)
    })
    if (staged.added.size > 0) group.logs.set(doc, staged)
    return outcome
  }

  #verdict(entry, staged, limit) {
    if (entry === null) return 'bad-change'
    if (entry.data.length > limit) return 'too-large'
    const held = staged.log.find(entry.id)
    const bytes = held ? this.read(held) : staged.added.get(entry.id)?.data
    if (bytes) return bytes.equals(entry.data) ? 'duplicate' : 'conflict'
    const exceeds = staged.log.bytes + staged.bytes + entry.data.length > this.#quota.maxDocumentBytes
    return exceeds || this.#quota.full ? 'quota' : null
  }

  #add({ id, data }, origin, staged, group, outcome) {
    staged.added.set(id, { id, data: Buffer.from(data.buffer, data.byteOffset, data.length), item: itemHash(id, data), origin })
    staged.bytes += data.length
    group.bytes += data.length
    outcome.waits = true
  }

  async #commit({ logs, jobs }) {
    if (logs.size === 0) return
    const failed = await this.#write([...logs.values()])
    for (const { job, outcome } of jobs) job.done(failed ? { failed } : outcome)
    if (!failed) this.onCommit([...logs.keys()])
  }

  async #write(staged) {
    if (this.#broken) return true
    const encoded = (log, entry) => ({ log, entry, bytes: encodeEntry(log.doc, entry) })
    const entries = staged.flatMap(({ log, added }) => [...added.values()].map((entry) => encoded(log, entry)))
    try {
      let offset = await this.#file.append(Buffer.concat(entries.map(({ bytes }) => bytes)))
      for (const { log, entry, bytes } of entries) {
        offset += bytes.length
        this.#show(log, { ...entry, size: entry.data.length, offset: offset - entry.data.length })
      }
      return false
    } catch (error) {
      this.#recover(error)
      return true
    }
  }

  #show(log, entry) {
    const doc = base64url.encode(log.doc)
    if (!this.#logs.has(doc)) this.#logs.set(doc, log)
    log.append(entry)
  }

  #load(payload, offset) {
    for (let at = 0; at < payload.length;) {
      const { doc, entry, end } = decodeEntry(payload, at)
      this.#show(this.log(doc), { ...entry, offset: offset + end - entry.size, origin: null })
      at = end
    }
  }

  // When even cutting off the failed write fails, what the file holds is not known any more: what
  // is visible can still be read, and the next start finds out the rest.
  #recover(error) {
    console.error(`cannot write: ${error.message}`)
    try {
      this.#file.cut()
    } catch (again) {
      console.error(`no more writes until a restart: ${again.message}`)
      this.#broken = true
    }
  }
}

function encodeEntry(doc, { id, item, data }) {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(data.length)
  return Buffer.concat([doc, Buffer.of(id.length), Buffer.from(id), item, length, data])
}

function decodeEntry(payload, at) {
  const idAt = at + 33
  const itemAt = idAt + payload[idAt - 1]
  const dataAt = itemAt + 36
  const size = payload.readUInt32LE(itemAt + 32)
  const entry = { id: payload.toString('latin1', idAt, itemAt), item: payload.subarray(itemAt, itemAt + 32), size }
  return { doc: base64url.encode(payload.subarray(at, at + 32)), entry, end: dataAt + size }
}

// What is said over one connection: the resume of section 12.3, live changes, and pushing (12.5, 12.6).
// All that is kept goes through `commit(records)`, which resolves when the records are durable.
import { ConnectionLost, RequestFailed, ServerFault } from './link.mjs'
import { NOT_A_CHANGE } from './state.mjs'
import { envelopeLength, open, seal } from '../lib/envelope.mjs'
import { itemHash } from '../lib/digest.mjs'
import { changeSize, encodeChange, SPARE } from '../lib/messages.mjs'
import { equal } from '../lib/bytes.mjs'
import { encode } from '../lib/base64url.mjs'

const ID_SIZE = 168 // the longest id with its quotes and comma
export const LONGEST_RETRY = 3600000 // however long a server wants to be left alone
const AGAIN_LATER = ['rate', 'unavailable', 'internal']

export class Sync {
  #link
  #keys
  #state
  #server
  #name
  #commit
  #report
  #validate
  #delay
  #acknowledged
  #settled
  #deferred = [] // evidence from live changes that has to wait for the comparison
  #comparing = true
  #gap = false // a listed change could not be got: no cursor at or after it is adopted
  #adopts = false // whether cursors of `changed` may be adopted
  #pushing = null
  #skipped = new Set() // not to be pushed again on this connection, or not yet
  #timers = new Set()

  /**
   * `report(code, message, id)` tells the application, `validate(id, plaintext)` throws for a change
   * that Automerge refuses, `delay()` gives the ms to wait before something is tried again,
   * `acknowledged(count)` is called after each push, `settled()` when nothing more is under way.
   */
  constructor({ link, keys, state, name, commit, report, validate, delay, acknowledged, settled }) {
    this.#link = link
    this.#keys = keys
    this.#state = state
    this.#name = name
    this.#server = state.server(name)
    this.#commit = commit
    this.#report = report
    this.#validate = validate
    this.#delay = delay
    this.#acknowledged = acknowledged
    this.#settled = settled
    this.complete = false
  }

  get inSync() {
    return this.complete && this.#link.isOpen && this.#pushing === null && this.#unsent().next().done
  }

  /** Steps a to e. Resolves when the first push round is over. */
  async resume() {
    const { opened } = this.#link
    let whole = this.#server.matches(opened) || await this.#fromCursor(opened)
    whole ||= await this.#fromStart(opened)
    if (!whole) this.#report('digest', 'the server lists other changes than count and digest say')
    await this.#compared(this.#gap ? undefined : opened.cursor)
    this.#skipHeldBack()
    await this.push()
    this.complete = this.#link.isOpen
    this.#settled()
  }

  async #fromCursor(opened) {
    if (this.#server.cursor === null) return false
    try {
      await this.#list({ after: this.#server.cursor })
      return this.#server.matches(opened)
    } catch (error) {
      if (error.code !== 'unknown-cursor') throw error
      await this.#commit([{ server: this.#name, cursor: null }])
      return false
    }
  }

  async #fromStart(opened) {
    const whole = this.#state.changes.size === 0
    await this.#list({ data: whole, replace: true })
    if (!whole && !this.#server.matches(opened)) await this.#list({ data: true, replace: true })
    return this.#server.matches(opened)
  }

  /** Lists to the end, making each page durable with its evidence and cursor before the next. */
  async #list({ after, data = false, replace = false }) {
    const before = replace ? this.#server.known : new Map()
    this.#gap = false
    let left = this.#link.opened.count
    const check = (page) => {
      left -= (page.changes ?? page.ids).length
      if (left < 0 || (page.more && page.cursor === after)) throw new ServerFault('a listing without an end') // ASP-CLI-48
    }
    for (let more = true; more; replace = false) {
      const page = await this.#link.request({ type: 'list', data, ...(after !== undefined && { after }) }, check)
      const found = page.changes ? this.#receive(page.changes) : await this.#fetch(page.ids, before)
      this.#gap ||= found.gap === true
      const cursor = this.#gap ? {} : { cursor: page.cursor }
      await this.#keep(found, { replace, ...(replace && { cursor: null }), ...cursor })
      ;({ more, cursor: after } = page)
    }
  }

  /** Evidence for listed ids, by ASP-CLI-9, with what had to be got for them. */
  async #fetch(ids, before) {
    const got = await this.#get(ids.filter((id) => this.#state.itemOf(id) === undefined))
    const received = new Map(got.known)
    const known = ids.map((id) => [id, received.get(id) ?? this.#server.known.get(id) ?? before.get(id) ?? this.#state.itemOf(id)])
    return { ...got, known: known.filter(([, item]) => item !== undefined) }
  }

  async #get(ids) {
    const parts = []
    for (let rest = ids; rest.length > 0;) {
      const { batch, message } = this.#link.limits
      const most = Math.max(1, Math.min(batch, Math.floor((message - SPARE) / ID_SIZE)))
      const { changes, missing } = await this.#link.request({ type: 'get', ids: rest.slice(0, most) })
      for (const id of missing) this.#report('missing', 'the server lists this change and does not have it', id)
      parts.push({ ...this.#receive(changes), gap: missing.length > 0 })
      rest = rest.slice(changes.length + missing.length)
    }
    const all = (name) => parts.flatMap((part) => part[name])
    return { records: all('records'), known: all('known'), conflicts: all('conflicts'), gap: parts.some(({ gap }) => gap) }
  }

  /** Judges received changes in the order of ASP-CLI-23 to 27; a refused envelope gives way to one that opens (ASP-CLI-47). */
  #receive(changes) {
    const found = { records: [], known: [], conflicts: [] }
    for (const { id, data } of changes) {
      const item = itemHash(id, data)
      found.known.push([id, item])
      const before = this.#state.itemOf(id)
      if (before && equal(before, item)) continue
      const record = this.#state.held(id) ? null : this.#recordOf(id, data, encode(item))
      if (before && (record === null || isRefused(record))) found.conflicts.push({ id, item: encode(item) })
      else found.records.push(record)
    }
    return found
  }

  #recordOf(id, data, item) {
    try {
      const plaintext = open(this.#keys, id, data)
      this.#validate(id, plaintext)
      return { change: { id, data: encode(plaintext), item, own: false } }
    } catch (error) {
      const code = error.requirement ?? NOT_A_CHANGE
      return { quarantine: { id, data: encode(data), item, code, message: error.message } }
    }
  }

  /** Makes found changes durable, with evidence and cursor, in one step. */
  async #keep({ records, known, conflicts }, evidence) {
    const fresh = conflicts.filter(({ id, item }) => this.#server.conflicts.get(id) !== item)
    const entry = { server: this.#name, known: known.map(([id, item]) => [id, encode(item)]), ...evidence }
    await this.#commit([...records, ...fresh.map((conflict) => ({ server: this.#name, conflict })), entry])
  }

  /** A live message. Its changes are stored at once; as evidence they may have to wait. */
  async changed({ changes, cursor }) {
    const found = this.#receive(changes)
    if (!this.#comparing) {
      await this.#keep(found, this.#adopts ? { cursor } : {})
      return this.#settled() // an own change among them is acknowledged by that
    }
    const stored = this.#keep({ ...found, known: [] }, {}) // commits keep their order
    this.#deferred.push({ known: found.known, cursor })
    await stored
  }

  // The comparison with `opened` is over: its cursor is adopted, then what came meanwhile counts.
  async #compared(cursor) {
    this.#adopts = cursor !== undefined
    if (this.#adopts && cursor !== this.#server.cursor) await this.#commit([{ server: this.#name, cursor }])
    while (this.#deferred.length > 0) {
      const { known, cursor: later } = this.#deferred.shift()
      await this.#keep({ records: [], known, conflicts: [] }, this.#adopts ? { cursor: later } : {})
    }
    this.#comparing = false
  }

  /** Pushes what the server lacks until nothing is left that may be sent now; not before step e. */
  async push() {
    if (this.#comparing || !this.#link.isOpen) return
    this.#pushing ??= this.#pushAll()
    await this.#pushing
  }

  async #pushAll() {
    try {
      for (;;) {
        await this.#refuseTooLarge()
        const batch = this.#batch()
        if (batch.length === 0) break
        await this.#pushBatch(batch).catch((error) => this.#pushFailed(error, batch))
      }
    } finally {
      this.#pushing = null // at once after the look that found nothing, so that no new change is missed
    }
    this.#settled()
  }

  * #unsent() {
    for (const id of this.#server.outbox) if (!this.isRefused(id)) yield this.#state.changes.get(id)
  }

  * #sendable() {
    for (const change of this.#unsent()) if (!this.#skipped.has(change.id)) yield change
  }

  /** Whether a change is refused for good: as too large, only until a larger limit admits it. */
  isRefused(id) {
    const refused = this.#server.refused.get(id)
    if (refused?.code !== 'too-large') return refused !== undefined
    const { change } = this.#link.limits
    return change <= refused.limit || refused.size > change
  }

  async #refuseTooLarge() {
    const { change: limit } = this.#link.limits
    const records = []
    for (const { id, data } of this.#sendable()) {
      const size = envelopeLength(data.length)
      if (size > limit) records.push({ server: this.#name, refused: { id, code: 'too-large', size, limit } })
    }
    if (records.length > 0) await this.#commit(records)
  }

  #batch() {
    const { batch, message, change: largest } = this.#link.limits
    const chosen = []
    let room = message - SPARE
    for (const change of this.#sendable()) {
      const size = envelopeLength(change.data.length)
      room -= changeSize(change.id, size)
      if (chosen.length >= batch || (room < 0 && chosen.length > 0)) break
      if (size <= largest) chosen.push(change)
    }
    return chosen
  }

  async #pushBatch(batch) {
    const changes = batch.map(({ id, data }) => encodeChange({ id, data: seal(this.#keys, id, data) }))
    const { rejected } = await this.#link.request({ type: 'push', changes }, (reply) => this.#pushed(batch, reply))
    const conflicts = rejected.filter(({ code }) => code === 'conflict').map(({ index }) => batch[index].id)
    if (conflicts.length === 0) return
    for (const id of conflicts) this.#skipped.add(id)
    await this.#keep(await this.#get(conflicts), {})
  }

  async #pushed(batch, { rejected }) {
    const codes = new Map(rejected.map(({ index, code }) => [batch[index].id, code]))
    const stored = batch.filter(({ id }) => !codes.has(id))
    const records = stored.length > 0 ? [{ server: this.#name, known: stored.map(({ id, item }) => [id, encode(item)]) }] : []
    for (const [id, code] of codes) {
      if (code === 'too-large' || code === 'bad-change') records.push(this.#refused(id, code))
      else if (code !== 'conflict') this.#later([id])
    }
    await this.#commit(records)
    if (stored.length > 0) this.#acknowledged(stored.length)
  }

  #refused(id, code) {
    const size = envelopeLength(this.#state.changes.get(id).data.length)
    return { server: this.#name, refused: { id, code, size, limit: this.#link.limits.change } }
  }

  #pushFailed(error, batch) {
    if (!(error instanceof RequestFailed)) throw error
    const ids = batch.map(({ id }) => id)
    if (isForNow(error.code)) return this.#later(ids, error.retryAfter)
    this.#report(error.code, error.message)
    for (const id of ids) this.#skipped.add(id)
  }

  #later(ids, atLeast = 0) {
    const asked = Math.min(atLeast, LONGEST_RETRY)
    if (asked > 0) this.#server.heldBack.push({ ids, until: Date.now() + asked })
    this.#skip(ids, Math.max(this.#delay(), asked))
  }

  // What the server, on an earlier connection, did not want to be asked for again so soon.
  #skipHeldBack() {
    this.#server.heldBack = this.#server.heldBack.filter(({ until }) => until > Date.now())
    for (const { ids, until } of this.#server.heldBack) this.#skip(ids, until - Date.now())
  }

  #skip(ids, delay) {
    for (const id of ids) this.#skipped.add(id)
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      for (const id of ids) this.#skipped.delete(id)
      this.push().catch((error) => this.#pushBroke(error))
    }, delay)
    this.#timers.add(timer)
  }

  // What else can go wrong is that this side cannot store; the link reports that and ends.
  #pushBroke(error) {
    if (!(error instanceof ConnectionLost)) this.#report('storage', error.message)
  }

  end() {
    for (const timer of this.#timers) clearTimeout(timer)
  }
}

const CODES = [
  'bad-message', 'unknown-type', 'not-open', 'already-open', 'forbidden', 'wrong-authority', 'unknown-cursor',
  'limit', 'rate', 'unavailable', 'internal', 'shutting-down'
]

/** Whether a request that was refused with this code may be made again later. */
export const isForNow = (code) => AGAIN_LATER.includes(known(code))

// Whether a record is of an envelope that does not open; one that Automerge refuses does.
const isRefused = ({ quarantine }) => quarantine !== undefined && quarantine.code !== NOT_A_CHANGE

/** A code this client knows; any other counts as `internal` (ASP-ERR-4). */
const known = (code) => (CODES.includes(code) ? code : 'internal')

// A replica: one document on this device, kept durably and, when it is told to, in sync with a server.
// It runs in Node and in browsers: storage and WebSocket are given to it.
//
//   const replica = await Replica.open({ storage, secret, WebSocket, url, onEvent })
//   replica.connect()
//   const [id] = await replica.add([{ actor, data }])   // durable now; on its way
//   await replica.synced()
//   await replica.stop()
//
// What it is given:
//
//   storage.load()           → records, in the order they were appended
//   storage.append(records)  → resolves when all of them are durable; all or none after a crash;
//                              several calls take effect and resolve in the order they were made
//   storage.close()
//   secret                   32 bytes: whoever has them has the document (`newSecret` of lib/keys.mjs)
//   WebSocket(url, protocols) as browsers have it; `terminate()` and `status`, the HTTP status of a
//                            refused handshake, are used where they exist
//   url, token               the server's, optional; `connect(url)` names another
//   validate(id, data)       throws for a received change that Automerge refuses; optional
//
// onEvent({ event, ... }) gets, from the time of `open` on:
//
//   change        number, id, actor, data, own: held already, or just come or added, and durable
//   connected     the server has opened the document
//   in-sync       both sides hold the same; anew whenever that becomes true again
//   pushed        count: so many more changes are acknowledged
//   quarantined   id, code, message: a received change that cannot be used; kept aside
//   conflict      id, code, message: the server has other bytes with the id of a change held here
//   refused       id, code, message: the server will not take this change; kept here
//   fault         code, message, sometimes id: the server or the storage breaks its promises
//   disconnected  code, message, retry_ms: null after `disconnect`, else when the next attempt is made
import { Backoff } from './client/backoff.mjs'
import { ConnectionLost, Link, RequestFailed } from './client/link.mjs'
import { State } from './client/state.mjs'
import { isForNow, LONGEST_RETRY, Sync } from './client/sync.mjs'
import { authorityOf } from './lib/authority.mjs'
import { deriveKeys } from './lib/keys.mjs'
import { itemHash } from './lib/digest.mjs'
import { seal } from './lib/envelope.mjs'
import { isActor, newChangeId } from './lib/ids.mjs'
import { encode } from './lib/base64url.mjs'

const TIMES = { welcome: 30000, idle: 30000, patience: 30000, proven: 30000 }
const FAULTY_ENDINGS = [1002, 1003, 1007, 1009, 4000, 4001]

export class Replica {
  #options
  #keys
  #state
  #url = null
  #link = null
  #sync = null
  #wanted = false
  #staying = null
  #wake = () => {}
  #backoff
  #announced = false
  #waiting = []
  #stopped = null

  /**
   * Loads what the storage has and tells it as events; does not connect. `backoff` and `times` are
   * in milliseconds, see client/backoff.mjs and TIMES.
   */
  static async open({ storage, secret, WebSocket, url, token, onEvent = () => {}, validate = () => {}, backoff, times }) {
    const options = { storage, WebSocket, token, onEvent, validate, times: { ...TIMES, ...times } }
    const replica = new Replica(options, deriveKeys(secret), new Backoff(backoff))
    if (url !== undefined) replica.#setUrl(url)
    await replica.#load()
    return replica
  }

  constructor(options, keys, backoff) {
    this.#options = options
    this.#keys = keys
    this.#state = new State()
    this.#backoff = backoff
  }

  get doc() {
    return this.#keys.docText
  }

  /** Adds changes of the application, { actor, data }; resolves with their ids when they are durable. */
  async add(changes) {
    const records = changes.map(({ actor, data }) => {
      if (!isActor(actor)) throw new TypeError('an actor is 1 to 64 bytes in lower-case hexadecimal')
      const id = newChangeId(actor)
      return { change: { id, data: encode(data), item: encode(itemHash(id, seal(this.#keys, id, data))), own: true } }
    })
    await this.#commit(records)
    this.#announced = false
    this.#sync?.push().catch((error) => this.#lost(error))
    return records.map(({ change }) => change.id)
  }

  /** Connects, and again after every ending, until told otherwise. */
  connect(url) {
    if (url !== undefined && url !== this.#url) this.#setUrl(url)
    if (this.#url === null) throw new TypeError('no URL is known')
    this.#wanted = true
    this.#staying ??= this.#stay().finally(() => { this.#staying = null })
    this.retry()
  }

  async disconnect() {
    this.#wanted = false
    this.#link?.end(1000)
    this.#wake()
    await this.#staying
  }

  /** Ends the wait for the next attempt, unless the server has asked for that wait. */
  retry() {
    if (this.#held() <= 0) this.#wake()
  }

  /** Resolves as soon as both sides hold the same, rejects when the replica is stopped before. */
  async synced() {
    if (!this.#sync?.inSync) await new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  state() {
    const server = this.#url === null ? null : this.#state.server(authorityOf(this.#url))
    return {
      changes: this.#state.changes.size,
      quarantined: this.#state.quarantine.size,
      digest: this.#state.digest,
      pending: server ? [...server.outbox].filter((id) => !server.refused.has(id)).length : this.#state.changes.size,
      refused: server?.refused.size ?? 0,
      conflicts: server?.conflicts.size ?? 0,
      known: server?.known.size ?? 0,
      connected: this.#link?.isOpen ?? false,
      in_sync: this.#sync?.inSync ?? false
    }
  }

  change(id) {
    return this.#state.changes.get(id)
  }

  /** The changes held, in the order in which they became durable here. */
  * changes() {
    for (const change of this.#state.changes.values()) yield change
  }

  /** Ends for good; what waits for being in sync is told so. */
  stop() {
    this.#stopped ??= this.disconnect().then(() => this.#options.storage.close())
    for (const { reject } of this.#waiting.splice(0)) reject(new ConnectionLost())
    return this.#stopped
  }

  #setUrl(url) {
    authorityOf(url) // throws for a URL that is none
    this.#url = url
    this.#link?.end(1000)
  }

  async #load() {
    for (const record of await this.#options.storage.load()) this.#state.apply(record)
    for (const change of this.#state.changes.values()) this.#emitChange(change)
  }

  #emit(event, members = {}) {
    this.#options.onEvent({ event, ...members })
  }

  #emitChange({ number, id, actor, data, own }) {
    this.#emit('change', { number, id, actor, data, own })
  }

  // Everything that is kept comes through here: durable first, then in memory, then told.
  async #commit(records) {
    if (records.length === 0) return
    await this.#options.storage.append(records)
    for (const record of records) this.#take(record)
  }

  #take(record) {
    const isNew = record.change && !this.#state.changes.has(record.change.id)
    this.#state.apply(record)
    if (isNew) this.#emitChange(this.#state.changes.get(record.change.id))
    const { quarantine, conflict, refused } = record
    if (quarantine) this.#tell('quarantined', quarantine)
    if (conflict) this.#tell('conflict', { id: conflict.id, code: 'conflict', message: 'the server has other bytes with this id' })
    if (refused) this.#tell('refused', { ...refused, message: 'the server will not take this change' })
  }

  #tell(event, { id, code, message }) {
    this.#emit(event, { ...(id !== undefined && { id }), code, message })
  }

  #fault(code, message, id) {
    this.#tell('fault', { id, code, message })
  }

  #lost(error) {
    if (!(error instanceof ConnectionLost)) this.#fault('storage', error.message)
  }

  async #stay() {
    while (this.#wanted) {
      if (this.#held() > 0) {
        await this.#pause(this.#held())
        continue
      }
      const { code, message } = await this.#connection()
      const delay = Math.max(this.#backoff.next(), this.#held())
      this.#emit('disconnected', { code, message, retry_ms: this.#wanted ? delay : null })
      if (this.#wanted) await this.#pause(delay)
    }
  }

  // How long the server still wants no attempt, in ms.
  #held() {
    return this.#state.server(authorityOf(this.#url)).notBefore - Date.now()
  }

  async #pause(delay) {
    let timer
    await new Promise((resolve) => {
      this.#wake = resolve
      timer = setTimeout(resolve, delay)
    })
    clearTimeout(timer)
    this.#wake = () => {}
  }

  /** One connection from dial to end. */
  async #connection() {
    const authority = authorityOf(this.#url)
    const report = (code, message, id) => this.#fault(code, message, id)
    const { WebSocket, token, times } = this.#options
    const onChanged = (message) => this.#sync.changed(message)
    this.#link = new Link({ url: this.#url, token, WebSocket, keys: this.#keys, times, report, onChanged })
    this.#sync = this.#newSync(this.#link, authority, report)
    const proven = this.#link.welcome.then(() => setTimeout(() => this.#backoff.reset(), times.proven), () => undefined)
    await this.#resume(authority)
    const { code, message, own, status, retryAfter } = await this.#link.ended
    clearTimeout(await proven)
    this.#sync.end()
    this.#sync = null
    this.#state.server(authority).notBefore = Date.now() + Math.min(retryAfter, LONGEST_RETRY)
    if (status === 401) report('http-401', 'the server wants another token')
    if (!own && FAULTY_ENDINGS.includes(code)) report(`close-${code}`, message || 'the server ended the connection')
    return { code, message }
  }

  #newSync(link, name, report) {
    return new Sync({
      link,
      name,
      report,
      keys: this.#keys,
      state: this.#state,
      commit: (records) => this.#commit(records),
      validate: this.#options.validate,
      delay: () => this.#backoff.next(),
      acknowledged: (count) => this.#emit('pushed', { count }),
      settled: () => this.#announce()
    })
  }

  /** Opens and resumes; ends the connection when the server refuses. */
  async #resume(authority) {
    this.#announced = false
    try {
      await this.#link.open(authority)
      this.#emit('connected')
      await this.#sync.resume()
      if (this.#sync.complete) this.#backoff.reset()
    } catch (error) {
      this.#lostOrRefused(error)
      this.#link.end(1000, error.message, error.retryAfter)
    }
  }

  #lostOrRefused(error) {
    if (!(error instanceof RequestFailed)) return this.#lost(error)
    if (!isForNow(error.code)) this.#fault(error.code, error.message) // ASP-ERR-10
  }

  #announce() {
    if (!this.#sync?.inSync) return
    if (!this.#announced) this.#emit('in-sync')
    this.#announced = true
    for (const { resolve } of this.#waiting.splice(0)) resolve()
  }
}

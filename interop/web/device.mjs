// One device: a text field, its replica, and how it stands with the server.
import { Replica } from '../client.mjs'
import { Editor } from './editor.mjs'
import { tapped } from './inspector.mjs'
import { standing } from './standing.mjs'
import { IndexedDBStorage } from './storage-indexeddb.mjs'
import { validate } from './text.mjs'

const OFFLINE = 'offline' // what this browser remembers of a device that its user has taken offline
const PASSING = ['connecting', 'syncing'] // not worth being read out: they come with every letter
const COMPLAINTS = ['fault', 'refused', 'quarantined', 'conflict']

export class Device {
  #view
  #editor
  #replica
  #inspector
  #name
  #isOnline
  #due = null // a timer
  #ticking = null // another, while an attempt is waited for
  #retryAt = 0
  #fault = null // what went wrong last, until another connection stands
  #unkept = { changes: [], why: null } // what the storage has not taken
  #isGreeted = false // whether this connection was told to be in sync
  #spoken = ''

  /** Fills `section`, a copy of the page's template; `watch({ up, text })` gets each message. */
  static async open({ section, name, database, secret, url, inspector, watch }) {
    const device = new Device(section, name, database, inspector)
    await device.#open({ secret, url, watch })
    return device
  }

  constructor(section, name, database, inspector) {
    const find = (selector) => section.querySelector(selector)
    const parts = { field: 'textarea', status: '.status', detail: '.detail', line: '.line', retry: '.retry', spoken: '.spoken' }
    this.#view = Object.fromEntries(Object.entries(parts).map(([part, selector]) => [part, find(selector)]))
    this.#inspector = inspector
    this.#name = name
    this.database = database
    this.#isOnline = localStorage.getItem(database) !== OFFLINE
    find('h2').textContent = name
    this.#view.field.setAttribute('aria-label', `text on ${name}`)
  }

  async #open({ secret, url, watch }) {
    this.#editor = new Editor(this.#view.field, (changes) => this.#keep(changes))
    this.#replica = await Replica.open({
      storage: await IndexedDBStorage.open(this.database),
      WebSocket: tapped((passed) => this.#passed(passed, watch)),
      onEvent: (event) => this.#heard(event),
      secret,
      url,
      validate
    })
    this.#view.line.addEventListener('click', () => this.#switchLine())
    this.#view.retry.addEventListener('click', () => this.#replica.retry())
    addEventListener('online', () => this.#replica.retry())
    if (this.#isOnline) this.#replica.connect()
    else this.#inspector.note('is offline, as it was left')
    this.#show()
    this.#view.field.readOnly = false
  }

  #passed({ note, ...message }, watch) {
    if (note !== undefined) return this.#inspector.note(note)
    try {
      this.#inspector.message(message)
      watch(message)
    } catch {
      this.#inspector.note('something came that is no message', 'bad')
    }
  }

  #heard({ event, own, data, code, message, retry_ms: wait }) {
    if (event === 'change' && !(own && this.#replica)) this.#editor.receive(data)
    if (event === 'connected') [this.#fault, this.#retryAt, this.#isGreeted] = [null, 0, false]
    if (event === 'in-sync') this.#greet()
    if (event === 'fault') this.#fault = `${message} (${code})`
    if (COMPLAINTS.includes(event)) this.#inspector.note(`${event}: ${message} (${code})`, 'bad')
    if (event === 'disconnected' && wait !== null) this.#wait(wait)
    this.#due ??= setTimeout(() => this.#show())
  }

  #greet() {
    if (!this.#isGreeted) this.#inspector.note('both sides hold the same', 'good')
    this.#isGreeted = true
  }

  #wait(ms) {
    this.#retryAt = Date.now() + ms
    this.#inspector.note(`tries again in ${(ms / 1000).toFixed(1)} s`)
  }

  // Once for all events of one turn: an event comes while the replica is still at work.
  #show() {
    this.#due = null
    this.#editor.show()
    this.#tell()
  }

  // What could not be kept before is tried again first: what follows depends on it.
  async #keep(written) {
    const changes = this.#unkept.changes.concat(written)
    this.#unkept = { changes: [], why: null }
    try {
      await this.#replica.add(changes)
    } catch (error) {
      this.#unkept = { changes: changes.concat(this.#unkept.changes), why: error.message }
    }
    this.#tell()
  }

  async #switchLine() {
    this.#isOnline = !this.#isOnline
    ;[this.#fault, this.#retryAt] = [null, 0]
    localStorage.setItem(this.database, this.#isOnline ? 'online' : OFFLINE)
    this.#inspector.note(this.#isOnline ? 'goes online' : 'goes offline')
    this.#tell()
    if (this.#isOnline) this.#replica.connect()
    else await this.#replica.disconnect()
    this.#tell()
  }

  #tell() {
    const { status, detail, line, retry } = this.#view
    const retryMs = this.#isOnline ? Math.max(0, this.#retryAt - Date.now()) : 0
    const now = { isOnline: this.#isOnline, retryMs, fault: this.#fault, unkept: this.#unkept.why }
    const { kind, label, detail: text } = standing(now, this.#replica.state())
    status.dataset.kind = kind
    status.textContent = label
    detail.textContent = text
    line.textContent = this.#isOnline ? 'Go offline' : 'Go online'
    retry.hidden = retryMs === 0
    this.#speak(kind, label, text)
    clearTimeout(this.#ticking)
    this.#ticking = retryMs > 0 ? setTimeout(() => this.#tell(), 1000) : null
  }

  // For those who cannot see the status: only what lasts, and only when it changes.
  #speak(kind, label, text) {
    const lasting = `${kind} ${label}`
    if (PASSING.includes(kind) || this.#spoken === lasting) return
    this.#spoken = lasting
    this.#view.spoken.textContent = `${this.#name}: ${label}${kind === 'trouble' ? `, ${text}` : ''}`
  }
}

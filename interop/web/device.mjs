// One device: a text field, its replica, its inspector.
import { Replica } from '../client.mjs'
import { deriveKeys } from '../lib/keys.mjs'
import { Editor } from './editor.mjs'
import { Inspector, tapped } from './inspector.mjs'
import { IndexedDBStorage } from './storage-indexeddb.mjs'
import { validate } from './text.mjs'

export class Device {
  #view
  #editor
  #replica
  #isOnline = true
  #due = null // a timer

  /** Fills `section`, a copy of the page's template. */
  static async open({ section, name, database, secret, url }) {
    const device = new Device(section, name)
    await device.#open({ database, secret, url })
    return device
  }

  constructor(section, name) {
    const find = (selector) => section.querySelector(selector)
    this.#view = { field: find('textarea'), status: find('.status'), line: find('.line'), messages: find('.messages'), total: find('small') }
    find('h2').textContent = name
    this.#view.field.setAttribute('aria-label', `text on ${name}`)
  }

  async #open({ database, secret, url }) {
    const inspector = new Inspector(this.#view.messages, this.#view.total, deriveKeys(secret))
    this.#editor = new Editor(this.#view.field, (changes) => this.#keep(changes))
    this.#replica = await Replica.open({
      storage: await IndexedDBStorage.open(database),
      WebSocket: tapped((message) => inspector.show(message)),
      onEvent: (event) => this.#heard(event),
      secret,
      url,
      validate
    })
    this.#show()
    this.#view.line.addEventListener('click', () => this.#switchLine())
    this.#replica.connect()
  }

  #heard({ event, own, data }) {
    if (event === 'change' && !(own && this.#replica)) this.#editor.receive(data)
    this.#due ??= setTimeout(() => this.#show())
  }

  // Once for all events of one turn: an event comes while the replica is still at work.
  #show() {
    this.#due = null
    this.#editor.show()
    this.#tell()
  }

  async #keep(changes) {
    try {
      await this.#replica.add(changes)
    } catch (error) {
      this.#view.status.textContent = `not kept: ${error.message}`
    }
  }

  async #switchLine() {
    this.#isOnline = !this.#isOnline
    this.#view.line.textContent = this.#isOnline ? 'Go offline' : 'Go online'
    if (this.#isOnline) this.#replica.connect()
    else await this.#replica.disconnect()
    this.#tell()
  }

  #tell() {
    const state = this.#replica.state()
    const { status } = this.#view
    const waiting = state.pending > 0 ? `, ${state.pending} to send` : ''
    status.dataset.state = !this.#isOnline ? 'offline' : state.in_sync ? 'in-sync' : 'connecting'
    status.textContent = { offline: 'offline', 'in-sync': 'in sync', connecting: 'connecting' }[status.dataset.state] + waiting
  }
}

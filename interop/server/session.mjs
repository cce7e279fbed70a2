// What one connection has proved and asked: the protocol between frames and store (sections 9 to 11).
import { randomBytes } from 'node:crypto'
import { Refusal } from './refusal.mjs'
import { requests } from './requests.mjs'
import { changeSize, decodeRequest, encodeChange, PROTOCOL, SPARE } from '../lib/messages.mjs'
import { Violation } from '../lib/errors.mjs'
import { encode } from '../lib/base64url.mjs'

const MOST_FORBIDDEN = 3

let sessions = 0

export class Session {
  #connection
  #forbidden = 0
  #timer

  constructor(connection, server) {
    this.#connection = connection
    this.server = server
    this.limits = server.limits
    this.store = server.store
    this.number = ++sessions // what marks, in the log, the changes that came from here
    this.challenge = randomBytes(32)
    this.documents = new Map() // document id to { opened, sent }: positions of its log
    this.#timer = setTimeout(() => connection.close(4001, 'no document was opened in time'), server.openMs)
  }

  welcome() {
    this.#connection.send({
      type: 'welcome',
      protocol: PROTOCOL,
      server: this.server.name,
      challenge: encode(this.challenge),
      limits: this.limits,
      extensions: []
    })
  }

  messageLimit() {
    return this.documents.size > 0 ? this.limits.message : this.limits.message_before_open
  }

  /** Answers one message; resolves when the next may be taken. */
  async handle(text) {
    if (this.server.stopping) return
    let request
    try {
      request = decodeRequest(text)
    } catch (error) {
      return this.#misread(error)
    }
    const { req, doc } = request
    try {
      await requests[request.type](this, request, (members) => this.#connection.send({ ...members, req, doc }))
    } catch (error) {
      this.#refuse(error, { req, doc })
    }
  }

  #misread(error) {
    if (error instanceof Violation) {
      this.#connection.send({ type: 'error', code: 'bad-message', message: error.message })
      return this.#connection.close(4000, 'not strict JSON')
    }
    const code = error.name === 'UnknownType' ? 'unknown-type' : 'bad-message'
    this.#connection.send({ type: 'error', ...error.answer, code, message: error.message })
  }

  #refuse(error, named) {
    if (!(error instanceof Refusal)) {
      console.error(`cannot read: ${error.message}`)
      error = new Refusal('unavailable', 'the store cannot be read now')
    }
    this.#connection.send({ type: 'error', ...named, code: error.code, message: error.message })
    if (error.code !== 'forbidden') return
    if (++this.#forbidden === MOST_FORBIDDEN) this.#connection.close(4001, 'too many wrong proofs')
  }

  subscribe(doc) {
    clearTimeout(this.#timer)
    const { length } = this.store.log(doc)
    this.documents.set(doc, { opened: length, sent: length })
    this.server.hub.add(doc, this)
  }

  unsubscribe(doc) {
    this.documents.delete(doc)
    this.server.hub.remove(doc, this)
  }

  /** Sends live changes as long as there is room: each document in turn, so that none starves. */
  pump() {
    for (const [doc, subscription] of this.documents) {
      if (!this.#connection.hasRoom) return
      const log = this.store.log(doc)
      if (subscription.sent === log.length) continue
      this.#sendLive(doc, log, subscription)
      this.documents.delete(doc)
      this.documents.set(doc, subscription) // at the end: this loop comes to it again
    }
  }

  #sendLive(doc, log, subscription) {
    const foreign = (entry) => entry.origin !== this.number
    const { changes, end } = this.collect(log, subscription.sent, log.length, foreign)
    subscription.sent = end
    if (changes.length > 0) this.#connection.send({ type: 'changed', doc, changes, cursor: log.cursor(end) })
  }

  /** Changes after position `start`, up to `stop`, as many as fit one message; `end` is how far they go. */
  collect(log, start, stop, wanted = () => true, most = this.limits.batch) {
    const changes = []
    let room = this.limits.message - SPARE
    let end = start
    for (; end < stop && changes.length < most; end++) {
      const entry = log.entries[end]
      if (!wanted(entry)) continue
      room -= changeSize(entry.id, entry.size)
      if (room < 0 && changes.length > 0) break
      changes.push(encodeChange({ id: entry.id, data: this.store.read(entry) }))
    }
    return { changes, end }
  }

  end() {
    clearTimeout(this.#timer)
    for (const doc of this.documents.keys()) this.server.hub.remove(doc, this)
    this.documents.clear()
  }
}

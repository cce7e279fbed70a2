// One connection with one open document, from the dial to the end. It checks that the server keeps
// the protocol (section 9.1), gives each reply to the request it answers, hands live changes on, and
// takes messages strictly one after the other: what a handler stores is durable before the next.
import { prove } from '../lib/proof.mjs'
import { decodeReply, PROTOCOL } from '../lib/messages.mjs'
import { encode } from '../lib/base64url.mjs'
import { utf8 } from '../lib/bytes.mjs'

const REPLY_TO = { open: 'opened', list: 'listed', get: 'got', push: 'pushed' }
const CLOSING_MS = 10000
const TICKS = 4 // how often in its idle time a connection is looked at

/** The server answered a request with `error`. */
export class RequestFailed extends Error {
  constructor({ code, message, retry_after_ms: retryAfter }) {
    super(message)
    this.name = 'RequestFailed'
    this.code = code
    this.retryAfter = retryAfter ?? 0
  }
}

/** The connection ended before the answer: whether the request was carried out is not known. */
export class ConnectionLost extends Error {
  constructor() {
    super('the connection ended')
    this.name = 'ConnectionLost'
  }
}

/** The server does not keep the protocol. */
export class ServerFault extends Error {
  constructor(what) {
    super(what)
    this.name = 'ServerFault'
  }
}

export class Link {
  #socket
  #options
  #inbox = Promise.resolve()
  #requests = new Map() // req to { request, handle, resolve, reject }
  #req = 0
  #welcomed
  #ended
  #over = false
  #timer
  #heard = Date.now()
  #probed = null
  #buffered = 0
  #retryAfter = 0

  /** `onChanged(message)` stores live changes, `report(code, message)` tells the application of faults. */
  constructor(options) {
    this.#options = options
    const { url, token, WebSocket } = options
    this.welcome = new Promise((resolve, reject) => { this.#welcomed = { resolve, reject, done: false } })
    this.welcome.catch(() => {})
    this.ended = new Promise((resolve) => { this.#ended = resolve })
    const offered = token ? [PROTOCOL, `athena-token.${encode(utf8(token))}`] : [PROTOCOL]
    this.#socket = new WebSocket(url, offered)
    this.#listen()
    this.#timer = setTimeout(() => this.#lost(`no ${this.#welcomed.done ? 'opened' : 'welcome'} in time`), options.times.welcome)
  }

  get isOpen() {
    return this.opened !== undefined && !this.#over
  }

  /** Proves possession; `this.limits` and `this.opened` are there when it resolves. */
  async open(authority) {
    const { challenge, limits } = await this.welcome
    this.limits = limits
    const proof = encode(prove(this.#options.keys, challenge, authority))
    await this.request({ type: 'open', authority, proof }, (opened) => {
      this.opened = { ...opened, digest: encode(opened.digest) }
      this.#watch()
    })
    return this.opened
  }

  /** Sends a request; `handle(reply)` runs before any later message is taken. Resolves with the reply. */
  request(members, handle = () => {}) {
    if (this.#over) return Promise.reject(new ConnectionLost())
    const request = { ...members, req: this.#req++, doc: this.#options.keys.docText }
    const answer = new Promise((resolve, reject) => this.#requests.set(request.req, { request, handle, resolve, reject }))
    this.#socket.send(JSON.stringify(request))
    return answer
  }

  /**
   * Ends the connection from this side, perhaps because the server wants to be left alone for a while.
   * Browsers allow no other code than 1000 and 3000 to 4999.
   */
  end(code, message = '', retryAfter = 0) {
    if (this.#over) return
    this.#retryAfter = Math.max(this.#retryAfter, retryAfter)
    try {
      this.#socket.close(code)
    } catch {
      this.#socket.close()
    }
    this.#finish(code, message, true)
    const late = setTimeout(() => this.#socket.terminate?.(), CLOSING_MS)
    late.unref?.()
  }

  #listen() {
    const socket = this.#socket
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => { if (socket.protocol !== PROTOCOL) this.end(1000, `the server does not speak ${PROTOCOL}`) }
    socket.onmessage = ({ data }) => {
      this.#heard = Date.now()
      this.#probed = null
      this.#inbox = this.#inbox.then(() => this.#take(data))
    }
    socket.onerror = ({ message }) => { this.error ??= message }
    socket.onclose = ({ code, reason }) => {
      this.#inbox = this.#inbox.then(() => this.#finish(code, reason || this.error || ''))
    }
  }

  async #take(data) {
    if (this.#over) return
    try {
      if (typeof data !== 'string') return this.end(1003, 'a binary message')
      await this.#dispatch(decodeReply(data))
    } catch (error) {
      if (error.name === 'UnknownType') return
      const isTheirs = ['Violation', 'BadMember', 'ServerFault'].includes(error.name)
      this.#options.report(isTheirs ? 'server-fault' : 'storage', error.message)
      this.end(isTheirs ? 4000 : 1000, error.message)
    }
  }

  async #dispatch(message) {
    if (!this.#welcomed.done) return this.#first(message)
    if (message.type === 'welcome') throw new ServerFault('a second welcome')
    if (message.type === 'changed') return this.#changed(message)
    if (message.type === 'error' && message.req === undefined) {
      this.error = `${message.code}: ${message.message}`
      this.#retryAfter = message.retry_after_ms ?? 0
      return
    }
    await this.#reply(message)
  }

  #first(message) {
    if (message.type !== 'welcome') throw new ServerFault(`the first message is ${message.type}`)
    this.#welcomed.done = true
    this.#welcomed.resolve(message)
  }

  async #changed(message) {
    if (!this.isOpen || message.doc !== this.#options.keys.docText) throw new ServerFault('changed for a document that is not open')
    await this.#options.onChanged(message)
  }

  async #reply(message) {
    const pending = this.#requests.get(message.req)
    const fits = pending && [REPLY_TO[pending.request.type], 'error'].includes(message.type)
    if (!fits || (message.doc ?? pending.request.doc) !== pending.request.doc) throw new ServerFault(`${message.type} answers no request`)
    if (message.type !== 'error') checkReply(pending.request, message)
    this.#requests.delete(message.req)
    if (message.type === 'error') return pending.reject(new RequestFailed(message))
    try {
      await pending.handle(message)
    } catch (error) {
      pending.reject(new ConnectionLost()) // which is what follows
      throw error
    }
    pending.resolve(message)
  }

  // Liveness, section 7.4: bytes that left count as progress, but only what comes answers a probe.
  #watch() {
    const { idle, patience } = this.#options.times
    clearTimeout(this.#timer)
    this.#timer = setInterval(() => {
      const { bufferedAmount = 0 } = this.#socket
      const sent = bufferedAmount < this.#buffered
      this.#buffered = bufferedAmount
      if (this.#probed !== null && Date.now() - this.#probed >= patience) return this.#lost('the server does not answer')
      if (sent && this.#probed === null) this.#heard = Date.now()
      if (this.#probed !== null || Date.now() - this.#heard < idle) return
      this.#probed = Date.now()
      this.probe().catch(() => {})
    }, idle / TICKS)
  }

  /** A round trip that changes nothing. */
  probe() {
    return this.request({ type: 'list', after: this.opened.cursor })
  }

  // A close handshake with a side that is gone takes long; this side does not wait for it.
  #lost(why) {
    this.#finish(1006, why)
    if (this.#socket.terminate) this.#socket.terminate()
    else this.#socket.close()
  }

  #finish(code, message, own = false) {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#timer)
    this.#welcomed.reject(new ConnectionLost())
    for (const { reject } of this.#requests.values()) reject(new ConnectionLost())
    this.#requests.clear()
    this.#ended({ code, message, own, status: this.#socket.status, retryAfter: this.#retryAfter })
  }
}

/** What a reply must not say, given the request (ASP-MSG-6). */
function checkReply(request, reply) {
  if (reply.type === 'listed') checkListed(request, reply)
  if (reply.type === 'got') checkGot(request, reply)
  if (reply.type === 'pushed') checkPushed(request, reply)
}

function checkListed({ data = false }, reply) {
  const [asked, listed] = data ? ['changes', 'ids'] : ['ids', 'changes']
  if (reply[asked] === undefined) throw new ServerFault(`${listed} were listed, ${asked} were asked for`)
}

function checkGot({ ids }, { changes, missing }) {
  const covered = changes.length + missing.length
  if (covered === 0) throw new ServerFault('got covers no id')
  const beginning = new Set(ids.slice(0, covered))
  for (const id of [...changes.map((change) => change.id), ...missing]) {
    if (!beginning.delete(id)) throw new ServerFault(`got names ${id} out of turn`)
  }
}

function checkPushed({ changes }, { duplicates, rejected }) {
  const named = [...duplicates, ...rejected.map(({ index }) => index)]
  const fits = named.every((index) => index < changes.length)
  if (!fits || new Set(named).size !== named.length) throw new ServerFault('pushed names an entry that was not sent, or one twice')
}

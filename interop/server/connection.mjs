// One WebSocket connection: bytes in, messages out, one at a time; a queue of bytes to send with a
// bound; pings, the closing handshake, and the watch over progress (sections 7.3, 7.4, 7.7, 11.5).
import { closeFrame, FrameReader, pingFrame, pongFrame, textFrame } from './frames.mjs'
import { textOf } from '../lib/bytes.mjs'

const SLICE = 65536 // so much is handed to the socket at a time, so that progress can be seen
const HIGH = 262144 // while more than this waits, no request is taken and no live change is made up
const CLOSING_MS = 10000

export class Connection {
  #socket
  #reader
  #session = null
  #queue = []
  #queued = 0
  #writing = false
  #wake = () => {}
  #closing = false // a Close frame is in the queue or sent
  #answered = false // the other side's Close frame has come
  #working = Promise.resolve()
  #busy = false
  #progress = Date.now()
  #pinged = Date.now()

  constructor(socket) {
    this.#socket = socket
    this.#reader = new FrameReader(() => this.#session.messageLimit())
    socket.setNoDelay(true)
    socket.setTimeout(0)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => this.#wake())
  }

  get open() {
    return !this.#closing && !this.#socket.destroyed
  }

  get hasRoom() {
    return this.open && this.#queued <= HIGH
  }

  /** Reads until the connection ends. `session` has handle(text), messageLimit(), pump() and end(). */
  async run(session, head) {
    this.#session = session
    try {
      if (head.length > 0) await this.#take(head)
      for await (const chunk of this.#socket) await this.#take(chunk)
    } catch {
      // The socket broke, which is an ending like any other.
    } finally {
      this.#socket.destroy()
      session.end()
    }
  }

  /** A message is queued, unless a Close has been. */
  send(message) {
    if (this.open) this.#enqueue(textFrame(JSON.stringify(message)), true)
  }

  close(code, reason) {
    if (!this.open) return
    this.#enqueue(closeFrame(code, reason), false)
    this.#closing = true
    this.#reader.drop()
    setTimeout(() => this.#socket.destroy(), CLOSING_MS).unref()
  }

  destroy() {
    this.#socket.destroy()
  }

  /** Resolves when the request under way, if any, has been answered. */
  settled() {
    return this.#working
  }

  /** Called from time to time: pings after `idle` ms without progress, gives up after `dead`. */
  watch(now, { idle, dead }) {
    if (this.#busy) this.#progress = now // it is this side that keeps the other waiting
    if (now - this.#progress >= dead) return this.#socket.destroy()
    if (now - Math.max(this.#progress, this.#pinged) < idle || !this.open) return
    this.#pinged = now
    this.#enqueue(pingFrame(), false)
  }

  async #take(chunk) {
    this.#progress = Date.now()
    for (const event of this.#reader.push(chunk)) {
      await this.#handle(event)
      await this.#room()
    }
  }

  async #handle(event) {
    if (event.fault) return this.close(event.fault, event.what)
    if ('close' in event) return this.#finish(event.close)
    if (!this.open) return
    if (event.ping) this.#enqueue(pongFrame(event.ping), false)
    if (event.message) await this.#message(event.message)
  }

  async #message(bytes) {
    let text
    try {
      text = textOf(bytes)
    } catch {
      return this.close(1007, 'not UTF-8')
    }
    this.#busy = true
    this.#working = this.#session.handle(text).catch((error) => this.#failed(error))
    await this.#working
    this.#busy = false
    await new Promise(setImmediate) // so that one connection's requests do not keep others waiting
  }

  #failed(error) {
    console.error(error)
    this.close(1011, 'a fault of the server')
  }

  // The client's Close: answered when it came first; then the server is the one to end TCP.
  #finish(code) {
    this.#answered = true
    this.close(code)
    this.#flush()
  }

  #enqueue(bytes, isMessage) {
    for (let at = 0; at < bytes.length; at += SLICE) this.#queue.push({ bytes: bytes.subarray(at, at + SLICE), isMessage })
    this.#queued += bytes.length
    this.#flush()
  }

  #flush() {
    if (this.#writing || this.#socket.destroyed) return
    if (this.#queue.length === 0) {
      if (this.#answered) this.#socket.destroySoon()
      return
    }
    const { bytes, isMessage } = this.#queue.shift()
    this.#writing = true
    this.#socket.write(bytes, () => this.#written(bytes.length, isMessage))
  }

  #written(length, isMessage) {
    this.#writing = false
    this.#queued -= length
    if (isMessage) this.#progress = Date.now()
    this.#flush()
    if (this.#queued > HIGH) return
    this.#wake()
    if (this.open) this.#session.pump()
  }

  async #room() {
    while (this.#queued > HIGH && !this.#socket.destroyed) {
      await new Promise((resolve) => { this.#wake = resolve })
    }
  }
}

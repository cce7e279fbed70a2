// The server put together: HTTP, connections, the watch over them, and the stop.
import { createServer } from 'node:http'
import { Connection } from './connection.mjs'
import { accepted, refusal, refused } from './handshake.mjs'
import { Hub } from './hub.mjs'
import { Session } from './session.mjs'
import { Store } from './store.mjs'

const MIB = 1 << 20

export const DEFAULTS = {
  host: '127.0.0.1',
  port: 0,
  token: null,
  names: [], // authorities; none means the loopback names with the port
  isPublic: false, // listening beyond loopback without a token is meant
  limits: { message: 4 * MIB, message_before_open: 16384, change: 1114112, batch: 1000, docs: 64 },
  maxConnections: 10000,
  maxDocumentBytes: 4096 * MIB,
  maxBytes: Infinity,
  minFreeBytes: 64 * MIB,
  openMs: 10000,
  handshakeMs: 10000,
  idleMs: 30000,
  deadMs: 90000,
  stopMs: 5000
}

const REFUSED_MS = 2000
const LOOPBACK = ['127.0.0.1', '::1', 'localhost']

export const isLoopback = (host) => LOOPBACK.includes(host)

export async function startServer(options) {
  const server = new Server({ ...DEFAULTS, ...options })
  await server.listen()
  return server
}

class Server {
  #options
  #http
  #connections = new Set()
  #watch
  #stopped = null

  constructor(options) {
    if (!isLoopback(options.host) && options.token === null && !options.isPublic) {
      throw new Error(`listening on ${options.host} needs a token, or --public`)
    }
    this.#options = options
    this.limits = options.limits
    this.openMs = options.openMs
    this.name = 'athena-sync-js/0.1.0'
    this.stopping = false
    this.hub = new Hub()
    this.store = new Store(options.data, { ...options, onCommit: (docs) => this.hub.pump(docs) })
  }

  async listen() {
    const { host, port, names, handshakeMs } = this.#options
    this.#http = createServer({ connectionsCheckingInterval: 1000, headersTimeout: handshakeMs, requestTimeout: handshakeMs })
    this.#http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
    this.#http.on('request', (request, response) => refuse(response.socket, { status: 426, headers: ['Upgrade: websocket'] }))
    try {
      await new Promise((resolve, reject) => this.#http.once('error', reject).listen(port, host, resolve))
    } catch (error) {
      await this.store.close()
      throw error
    }
    this.port = this.#http.address().port
    this.url = `ws://${host.includes(':') ? `[${host}]` : host}:${this.port}/`
    const own = ['localhost', '127.0.0.1', '[::1]'].map((name) => new URL(`ws://${name}:${this.port}/`).host)
    this.authorities = new Set(names.length > 0 ? names : own)
    this.#watch = setInterval(() => this.#watchAll(), Math.min(5000, this.#options.idleMs / 2))
  }

  /** Finishes what is under way, tells every client, and resolves when all is on stable storage. */
  stop() {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop() {
    this.stopping = true
    clearInterval(this.#watch)
    const closed = new Promise((resolve) => this.#http.close(resolve))
    const last = setTimeout(() => this.#destroyAll(), this.#options.stopMs)
    await Promise.all([...this.#connections].map(({ connection, ended }) => this.#dismiss(connection).then(() => ended)))
    clearTimeout(last)
    this.#http.closeAllConnections()
    await closed
    await this.store.close()
  }

  async #dismiss(connection) {
    await connection.settled()
    connection.send({ type: 'error', code: 'shutting-down', message: 'the server is stopping' })
    connection.close(1001, 'the server is stopping')
  }

  #destroyAll() {
    for (const { connection } of this.#connections) connection.destroy()
  }

  #watchAll() {
    const times = { idle: this.#options.idleMs, dead: this.#options.deadMs }
    for (const { connection } of this.#connections) connection.watch(Date.now(), times)
  }

  #upgrade(request, socket, head) {
    const full = this.stopping || this.#connections.size >= this.#options.maxConnections
    const fault = full ? { status: 503, headers: [] } : refusal(request, this.#options.token)
    if (fault) return refuse(socket, fault)
    socket.write(accepted(request))
    const connection = new Connection(socket)
    const session = new Session(connection, this)
    session.welcome()
    const one = { connection, ended: connection.run(session, head) }
    this.#connections.add(one)
    one.ended.then(() => this.#connections.delete(one))
  }
}

// What the client still sends is read and dropped for a while: a reset could overtake the answer.
function refuse(socket, fault) {
  socket.on('error', () => socket.destroy())
  socket.end(refused(fault))
  socket.resume()
  const timer = setTimeout(() => socket.destroy(), REFUSED_MS)
  socket.on('close', () => clearTimeout(timer))
}

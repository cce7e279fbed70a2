// Replicas for tests: in this process with a storage in memory, or as a process of cli.mjs; and a
// server that says what a test wants.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { WebSocketServer } from 'ws'
import { Replica } from '../client.mjs'
import { NodeWebSocket } from '../node/websocket.mjs'
import { newSecret } from '../lib/keys.mjs'
import { encode } from '../lib/base64url.mjs'
import { atEnd } from './at-end.mjs'
import { file } from './server-kit.mjs'

/** Keeps records as a file would: as text, whole groups only. */
export class MemoryStorage {
  groups = []

  load() {
    return this.groups.flatMap((group) => JSON.parse(group))
  }

  async append(records) {
    this.groups.push(JSON.stringify(records))
  }

  async close() {}
}

/** Events as they come, and promises of those to come. */
export class Events {
  all = []
  #waiting = []

  add(event) {
    this.all.push(event)
    this.#waiting = this.#waiting.filter(({ fits, resolve }) => !(fits(event) && (resolve(event), true)))
  }

  /** The next event of this name from now on that has these members. */
  next(name, members = {}) {
    const fits = (event) => event.event === name && Object.entries(members).every(([key, value]) => event[key] === value)
    return new Promise((resolve) => this.#waiting.push({ fits, resolve }))
  }

  of(name) {
    return this.all.filter((event) => event.event === name)
  }
}

export const SHORT = { first: 5, most: 40 }

export async function replica(t, { secret = newSecret(), storage = new MemoryStorage(), ...options }) {
  const events = new Events()
  const made = await Replica.open({ WebSocket: NodeWebSocket, backoff: SHORT, secret, storage, onEvent: (event) => events.add(event), ...options })
  atEnd(t, () => made.stop())
  return Object.assign(made, { events, secret, storage })
}

/** cli.mjs watch, as a process. */
export async function watch(t, folder, ...args) {
  const child = spawn(process.execPath, [file('cli.mjs'), 'watch', folder, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'close')
  const kill = (signal) => {
    child.kill(signal)
    return ended
  }
  atEnd(t, () => kill('SIGKILL'))
  const events = new Events()
  const ready = events.next('ready')
  createInterface(child.stdout).on('line', (line) => events.add(JSON.parse(line)))
  await ready
  let id = 0
  const ask = (cmd, members = {}) => {
    const answer = events.next('answer', { id: ++id })
    child.stdin.write(`${JSON.stringify({ id, cmd, ...members })}\n`)
    return answer
  }
  const write = (text) => child.stdin.write(`${text}\n`)
  const end = () => child.stdin.end()
  return { events, ask, write, end, kill, ended }
}

/** A program of this folder, run to its end. */
export async function run(program, ...args) {
  const child = spawn(process.execPath, [file(program), ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, err] = [[], []]
  child.stdout.on('data', (chunk) => out.push(chunk))
  child.stderr.on('data', (chunk) => err.push(chunk))
  const [code] = await once(child, 'close')
  return { code, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() }
}

export const cli = (...args) => run('cli.mjs', ...args)

export const LIMITS = { message: 4194304, message_before_open: 16384, change: 1114112, batch: 1000, docs: 64 }
export const EMPTY = { count: 0, digest: encode(new Uint8Array(32)), cursor: 'empty' }

/** A server whose answers a test gives: `answer(request, connection)` returns a message, or null. */
export async function scripted(t, { answer, limits = LIMITS, welcome = {} }) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  atEnd(t, () => {
    for (const socket of server.clients) socket.terminate()
    server.close()
  })
  const closes = new Events()
  const requests = []
  const seen = new Events()
  server.on('connection', (socket) => {
    const send = (message) => socket.send(JSON.stringify(message))
    send({ type: 'welcome', protocol: 'athena-sync.v1', server: 'script/1', challenge: encode(new Uint8Array(32)), limits, extensions: [], ...welcome })
    socket.on('close', (code) => closes.add({ event: 'close', code }))
    socket.on('message', (data) => {
      const request = JSON.parse(data)
      requests.push(request)
      seen.add({ event: request.type, ...request })
      const reply = answer(request, { socket, send })
      if (reply) send({ req: request.req, doc: request.doc, ...reply })
    })
  })
  return { url: `ws://127.0.0.1:${server.address().port}/`, closes, requests, seen }
}

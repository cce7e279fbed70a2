// Servers and plain connections for tests.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import WebSocket from 'ws'
import { atEnd } from './at-end.mjs'
import { deriveKeys, newSecret } from '../lib/keys.mjs'
import { envelopeLength, seal } from '../lib/envelope.mjs'
import { prove } from '../lib/proof.mjs'
import { newChangeId } from '../lib/ids.mjs'
import { encodeChange } from '../lib/messages.mjs'
import { decode, encode } from '../lib/base64url.mjs'
import { startServer } from '../server/server.mjs'

export const file = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url))

export function folder(t) {
  const path = mkdtempSync(join(tmpdir(), 'athena-js-'))
  atEnd(t, () => rmSync(path, { recursive: true, force: true, maxRetries: 10 }))
  return path
}

export async function serve(t, options = {}) {
  const server = await startServer({ data: folder(t), ...options })
  atEnd(t, () => server.stop())
  return server
}

/** A server process; `url` is where it listens, `kill(signal)` resolves when it has ended. */
export async function spawnServer(t, data, { shell = 'exec "$@"', args = [] } = {}) {
  const command = [process.execPath, file('server.mjs'), '--data', data, ...args]
  const child = spawn('/bin/sh', ['-c', shell, 'sh', ...command], { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'exit')
  const kill = async (signal) => {
    child.kill(signal)
    return (await ended)[0]
  }
  atEnd(t, () => kill('SIGKILL'))
  const errors = []
  child.stderr.on('data', (chunk) => errors.push(chunk))
  const [line] = await Promise.race([once(createInterface(child.stdout), 'line'), ended.then(([code]) => [code])])
  if (typeof line !== 'string') throw new Error(`the server ended with ${line}: ${Buffer.concat(errors)}`)
  return { url: line.replace('listening on ', ''), kill, errors: () => Buffer.concat(errors).toString() }
}

/** A connection that sends what it is told; `next()` is the next message, `closed` the close code. */
export async function dial(t, url, { protocols = ['athena-sync.v1'], ...options } = {}) {
  const socket = new WebSocket(url, protocols, options)
  atEnd(t, () => socket.terminate())
  const messages = []
  const waiting = []
  socket.on('message', (data) => {
    const message = JSON.parse(data)
    if (waiting.length > 0) waiting.shift()(message)
    else messages.push(message)
  })
  const closed = once(socket, 'close').then(([code]) => code)
  await once(socket, 'open')
  const next = () => (messages.length > 0 ? Promise.resolve(messages.shift()) : new Promise((resolve) => waiting.push(resolve)))
  const ask = (message) => {
    socket.send(JSON.stringify(message))
    return next()
  }
  return { socket, next, ask, closed, url, welcome: await next() }
}

export class Writer {
  constructor(secret = newSecret()) {
    this.secret = secret
    this.keys = deriveKeys(secret)
    this.doc = this.keys.docText
  }

  open({ url, welcome }, req = 1) {
    const authority = new URL(url).host
    return { type: 'open', req, doc: this.doc, authority, proof: encode(prove(this.keys, decode(welcome.challenge), authority)) }
  }

  change(size = 10) {
    const id = newChangeId('ab12')
    return encodeChange({ id, data: seal(this.keys, id, new Uint8Array(size).fill(7)) })
  }

  push(changes, req = 2) {
    return { type: 'push', req, doc: this.doc, changes }
  }

  list(members = {}) {
    return { type: 'list', req: 3, doc: this.doc, ...members }
  }
}

export { envelopeLength }

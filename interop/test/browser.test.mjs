// The client has to run in browsers: nothing it imports may need Node.
import test from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import WebSocket from 'ws'
import { EMPTY, replica, scripted } from './client-kit.mjs'
import { serve } from './server-kit.mjs'

function imports(url, seen = new Map()) {
  if (seen.has(url.href)) return seen
  const source = readFileSync(url, 'utf8')
  const names = [...source.matchAll(/^(?:import|export) [^;]*?from '([^']+)'/gm)].map(([, name]) => name)
  seen.set(url.href, { source, names })
  for (const name of names.filter((one) => one.startsWith('.'))) imports(new URL(name, url), seen)
  return seen
}

test('client.mjs and all it imports need nothing of Node', () => {
  const files = imports(new URL('../client.mjs', import.meta.url))
  assert.ok(files.size > 10)
  for (const [file, { source, names }] of files) {
    const foreign = names.filter((name) => !name.startsWith('.') && !name.startsWith('@noble/'))
    assert.deepEqual(foreign, [], file)
    const code = source.replace(/^\s*(\/\/|\*|\/\*).*$/gm, '')
    assert.doesNotMatch(code, /\b(Buffer|process|require|setImmediate)\b/, file)
  }
})

// What browsers have and no more: two arguments, four handlers, few close codes, text or ArrayBuffer.
class BrowserLike {
  #inner

  constructor(url, protocols) {
    this.#inner = new WebSocket(url, protocols)
    this.#inner.binaryType = 'arraybuffer'
    for (const name of ['open', 'message', 'close']) this.#inner.addEventListener(name, (event) => this[`on${name}`]?.(event))
    this.#inner.addEventListener('error', () => this.onerror?.({})) // browsers do not say what
  }

  get protocol() {
    return this.#inner.protocol
  }

  get bufferedAmount() {
    return this.#inner.bufferedAmount
  }

  send(data) {
    this.#inner.send(data)
  }

  close(code) {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code < 5000)) throw new DOMException('', 'InvalidAccessError')
    this.#inner.close(code)
  }
}

test('a replica works with what browsers have', async (t) => {
  const { url } = await serve(t)
  const anna = await replica(t, { url, WebSocket: BrowserLike })
  await anna.add([{ actor: 'aa', data: new Uint8Array(5) }])
  anna.connect()
  await anna.synced()
  assert.equal(anna.state().known, 1)
})

test('there, too, a binary message ends the connection and silence is noticed', async (t) => {
  const server = await scripted(t, { answer: (request, { socket }) => (socket.send(Buffer.from('{}')), null) })
  const anna = await replica(t, { url: server.url, WebSocket: BrowserLike })
  const closed = server.closes.next('close')
  anna.connect()
  assert.equal((await closed).code, 1005)

  const mute = await scripted(t, { answer: (request) => (request.type === 'open' ? { type: 'opened', ...EMPTY } : null) })
  const ben = await replica(t, { url: mute.url, WebSocket: BrowserLike, times: { idle: 20, patience: 20 } })
  const gone = ben.events.next('disconnected')
  ben.connect()
  assert.equal((await gone).message, 'the server does not answer')
})

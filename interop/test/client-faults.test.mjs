// Replicas against servers that refuse, fail, lie and fall silent.
import test from 'node:test'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { atEnd } from './at-end.mjs'
import { EMPTY, LIMITS, MemoryStorage, replica, scripted } from './client-kit.mjs'
import { dial, serve, Writer } from './server-kit.mjs'
import { Backoff } from '../client/backoff.mjs'
import { State } from '../client/state.mjs'
import { add, digestText, itemHash } from '../lib/digest.mjs'
import { decode, encode } from '../lib/base64url.mjs'
import { encodeChange } from '../lib/messages.mjs'
import { seal } from '../lib/envelope.mjs'
import { newChangeId } from '../lib/ids.mjs'
import { NodeWebSocket } from '../node/websocket.mjs'

const text = (word) => new TextEncoder().encode(word)
const one = [{ actor: 'aa', data: text('one') }]

/** Answers like a server with an empty log that takes every push, but for what `special` says. */
const usual = (special = {}) => (request, connection) => {
  const own = special[request.type]?.(request, connection)
  if (own !== undefined) return own
  if (request.type === 'open') return { type: 'opened', ...EMPTY }
  if (request.type === 'list') return { type: 'listed', [request.data ? 'changes' : 'ids']: [], cursor: 'empty', more: false }
  if (request.type === 'get') return { type: 'got', changes: [], missing: request.ids }
  return { type: 'pushed', duplicates: [], rejected: [] }
}

const first = (reply) => {
  let done = false
  return () => (done ? undefined : ((done = true), reply))
}

for (const code of ['rate', 'unavailable', 'internal', 'something-new']) {
  test(`a push that is answered with ${code} is sent again, with the same bytes`, async (t) => {
    const server = await scripted(t, { answer: usual({ push: first({ type: 'error', code, message: 'not now', retry_after_ms: 20 }) }) })
    const anna = await replica(t, { url: server.url })
    await anna.add(one)
    anna.connect()
    await anna.synced()
    const pushes = server.requests.filter(({ type }) => type === 'push')
    assert.equal(pushes.length, 2)
    assert.deepEqual(pushes[0].changes, pushes[1].changes)
    assert.deepEqual(anna.events.of('fault'), [])
  })
}

test('quota and codes that nobody knows stay in the outbox and are tried again', async (t) => {
  for (const code of ['quota', 'something-new']) {
    const server = await scripted(t, { answer: usual({ push: first({ type: 'pushed', duplicates: [], rejected: [{ index: 0, code }] }) }) })
    const anna = await replica(t, { url: server.url })
    await anna.add(one)
    anna.connect()
    await anna.events.next('in-sync')
    assert.equal(anna.events.of('refused').length, 0)
    assert.equal(anna.state().pending, 0)
  }
})

test('bad-change is refused for good and reported once', async (t) => {
  const server = await scripted(t, { answer: usual({ push: () => ({ type: 'pushed', duplicates: [], rejected: [{ index: 0, code: 'bad-change' }] }) }) })
  const anna = await replica(t, { url: server.url })
  await anna.add(one)
  anna.connect()
  await anna.synced()
  await anna.disconnect()
  anna.connect()
  await anna.events.next('in-sync')
  assert.equal(anna.events.of('refused').length, 1)
  assert.equal(server.requests.filter(({ type }) => type === 'push').length, 1)
  assert.equal(anna.state().changes, 1)
})

test('a change above limits.change is refused unsent, and sent to a server that admits it', async (t) => {
  const limits = { ...LIMITS, change: 1024 }
  const server = await scripted(t, { limits, answer: usual() })
  const anna = await replica(t, { url: server.url })
  await anna.add([{ actor: 'aa', data: new Uint8Array(2000) }, ...one])
  anna.connect()
  await anna.synced()
  assert.deepEqual(anna.events.of('refused').map(({ code }) => code), ['too-large'])
  assert.deepEqual(server.requests.filter(({ type }) => type === 'push').map(({ changes }) => changes.length), [1])
  await anna.disconnect()
  limits.change = 4096
  anna.connect()
  await anna.events.next('in-sync')
  assert.equal(server.requests.filter(({ type }) => type === 'push').length, 2)
  assert.deepEqual([anna.state().refused, anna.state().known], [0, 2])
})

test('a change added while another is pushed makes it in sync once more', async (t) => {
  const server = await scripted(t, { answer: usual() })
  const storage = new MemoryStorage()
  const anna = await replica(t, { url: server.url, storage })
  anna.connect()
  await anna.synced()
  const append = storage.append.bind(storage)
  let go
  await anna.add(one)
  storage.append = async (records) => { // the second change is durable only after the first is told to be in sync
    if (records[0].change) await new Promise((resolve) => { go = resolve })
    return append(records)
  }
  const told = anna.events.next('in-sync')
  const second = anna.add(one)
  await told
  const again = anna.events.next('in-sync')
  go()
  await second
  await anna.synced()
  await again
})

test('a push that is answered with bad-message is a fault and not repeated on that connection', async (t) => {
  const server = await scripted(t, { answer: usual({ push: () => ({ type: 'error', code: 'bad-message', message: '/changes: no' }) }) })
  const anna = await replica(t, { url: server.url })
  await anna.add(one)
  const fault = anna.events.next('fault', { code: 'bad-message' })
  anna.connect()
  await fault
  await anna.add(one)
  await anna.events.next('fault', { code: 'bad-message' })
  const ids = server.requests.filter(({ type }) => type === 'push').map(({ changes }) => changes.map(({ id }) => id))
  assert.equal(ids.length, 2)
  assert.notDeepEqual(ids[0], ids[1])
})

for (const code of ['forbidden', 'wrong-authority']) {
  test(`${code} is reported, ends the connection with 1000, and is tried again later`, async (t) => {
    const server = await scripted(t, { answer: usual({ open: () => ({ type: 'error', code, message: 'no' }) }) })
    const anna = await replica(t, { url: server.url })
    const closed = server.closes.next('close')
    const fault = anna.events.next('fault', { code })
    anna.connect()
    assert.equal((await closed).code, 1000)
    await fault
    await anna.events.next('fault', { code })
    assert.equal(new Set(server.requests.map(({ proof }) => proof)).size, 1) // one challenge, one proof each
  })
}

for (const code of ['rate', 'unavailable', 'internal', 'something-new', 'limit', 'not-open']) {
  test(`a request of the resume that is answered with ${code} ends it, and the next connection makes it good`, async (t) => {
    const id = newChangeId('aa')
    const opened = { type: 'opened', count: 1, digest: digestText(add(0n, itemHash(id, decode('AA')))), cursor: 'c' }
    const answers = {
      open: () => opened,
      list: (request) => ({ type: 'listed', [request.data ? 'changes' : 'ids']: [request.data ? { id, data: 'AA' } : id], cursor: 'c', more: false }),
      get: () => ({ type: 'got', changes: [{ id, data: 'AA' }], missing: [] })
    }
    for (const type of ['open', 'list', 'get']) {
      const refuse = first({ type: 'error', code, message: 'not now' })
      const server = await scripted(t, { answer: usual({ ...answers, [type]: (request) => refuse() ?? answers[type](request) }) })
      const anna = await replica(t, { url: server.url })
      await anna.add(one) // with a change held, ids are listed and then got
      const closed = server.closes.next('close')
      anna.connect()
      assert.equal((await closed).code, 1000)
      await anna.synced()
      assert.deepEqual(anna.events.of('fault').map((fault) => fault.code), ['limit', 'not-open'].includes(code) ? [code] : [], type)
      assert.deepEqual([anna.state().known, anna.state().quarantined], [2, 1])
    }
  })
}

test('what is added during a resume is pushed after it', async (t) => {
  const ids = [newChangeId('bb'), newChangeId('bb')]
  const sum = ids.reduce((all, id) => add(all, itemHash(id, decode('AA'))), 0n)
  const list = ({ req, doc, after }, { send }) => {
    const page = { type: 'listed', req, doc, changes: [{ id: ids[after ? 1 : 0], data: 'AA' }], cursor: after ? 'c2' : 'c1', more: !after }
    if (after) send(page)
    else anna.add(one).then(() => send(page))
    return null
  }
  const opened = { type: 'opened', count: 2, digest: digestText(sum), cursor: 'c2' }
  const server = await scripted(t, { answer: usual({ open: () => opened, list }) })
  const anna = await replica(t, { url: server.url })
  anna.connect()
  await anna.events.next('in-sync')
  assert.deepEqual(server.requests.map(({ type }) => type), ['open', 'list', 'list', 'push'])
})

test('the bytes of a conflict that cannot be got now are got later', async (t) => {
  const writer = new Writer()
  const anna = await replica(t, { secret: writer.secret })
  const [id] = await anna.add(one)
  const theirs = encodeChange({ id, data: seal(writer.keys, id, text('theirs')) })
  const refuse = first({ type: 'error', code: 'unavailable', message: 'not now' })
  const special = {
    push: () => ({ type: 'pushed', duplicates: [], rejected: [{ index: 0, code: 'conflict' }] }),
    get: () => refuse() ?? { type: 'got', changes: [theirs], missing: [] }
  }
  const server = await scripted(t, { answer: usual(special) })
  const conflict = anna.events.next('conflict', { id })
  anna.connect(server.url)
  await conflict
  await anna.synced()
  assert.deepEqual([anna.events.of('fault'), anna.state().pending], [[], 0])
})

test('a refused envelope gives way to one that opens, and to no other', { timeout: 60000 }, async (t) => {
  const writer = new Writer()
  const id = newChangeId('aa')
  const good = encodeChange({ id, data: seal(writer.keys, id, text('good')) })
  const listing = (data) => usual({
    open: () => ({ type: 'opened', count: 1, digest: digestText(add(0n, itemHash(id, decode(data)))), cursor: 'c' }),
    list: (request) => ({ type: 'listed', ...(request.data ? { changes: [{ id, data }] } : { ids: [id] }), cursor: 'c', more: false })
  })
  const anna = await replica(t, { secret: writer.secret })
  const visit = async (data) => {
    const { url } = await scripted(t, { answer: listing(data) })
    anna.connect(url)
    await anna.events.next('in-sync')
    return [anna.state().quarantined, anna.state().changes, anna.events.of('quarantined').length, anna.events.of('conflict').length]
  }
  assert.deepEqual(await visit('AA'), [1, 0, 1, 0])
  assert.deepEqual(await visit('AQ'), [1, 0, 1, 1])
  assert.deepEqual(await visit(good.data), [0, 1, 1, 1])
  assert.deepEqual(await visit('AA'), [0, 1, 1, 2])
})

test('a refusal with retry_after_ms keeps the next attempt off for that long', async (t) => {
  const server = await scripted(t, { answer: usual({ open: () => ({ type: 'error', code: 'rate', message: 'later', retry_after_ms: 7200000 }) }) })
  const anna = await replica(t, { url: server.url })
  const gone = anna.events.next('disconnected')
  anna.connect()
  const { retry_ms: wait } = await gone
  assert.ok(wait > 3500000 && wait <= 3600000, `${wait}`)
  anna.retry()
  await anna.disconnect()
  anna.connect()
  const other = await scripted(t, { answer: usual() })
  anna.connect(other.url)
  await anna.synced()
  assert.equal(server.requests.length, 1)
})

test('an error that answers no request keeps the next attempt off as well', async (t) => {
  const answer = (request, { socket, send }) => {
    send({ type: 'error', code: 'shutting-down', message: 'for a while', retry_after_ms: 60000 })
    socket.close(1001)
  }
  const server = await scripted(t, { answer })
  const anna = await replica(t, { url: server.url })
  const gone = anna.events.next('disconnected')
  anna.connect()
  assert.ok((await gone).retry_ms > 50000)
})

test('what a push has to wait for is waited for on the next connection, too', async (t) => {
  const refuse = first({ type: 'error', code: 'rate', message: 'later', retry_after_ms: 3600000 })
  const push = ({ req, doc }, { socket, send }) => {
    const refusal = refuse()
    if (refusal === undefined) return undefined
    send({ req, doc, ...refusal })
    socket.close(1001)
    return null
  }
  const server = await scripted(t, { answer: usual({ push }) })
  const anna = await replica(t, { url: server.url })
  await anna.add(one)
  anna.connect()
  await anna.events.next('disconnected')
  await anna.events.next('connected')
  const pushed = server.seen.next('push')
  const [other] = await anna.add([{ actor: 'bb', data: text('two') }])
  const { changes } = await pushed
  assert.deepEqual(changes.map(({ id }) => id), [other])
  assert.deepEqual([anna.state().in_sync, anna.events.of('in-sync')], [false, []])
})

const wrongs = {
  'a binary message': [({ socket }) => { socket.send(Buffer.from('{}')) }, 1003],
  'a member twice': [({ socket }) => { socket.send('{"type":"changed","type":"changed"}') }, 4000],
  'a violation in a message of unknown type': [({ socket }) => { socket.send('{"type":"x:y","a":[') }, 4000],
  'an escaped zero': [({ socket }) => { socket.send('{"type":"x:y","a":"\\u0000"}') }, 4000],
  'a number above 2^53 - 1': [({ socket }) => { socket.send('{"type":"x:y","a":9007199254740992}') }, 4000],
  'an object of 65 members': [({ send }) => { send(Object.fromEntries([['type', 'x:y'], ...Array.from({ length: 64 }, (_, i) => [i, i])])) }, 4000],
  'a wrong member': [({ send }) => { send({ type: 'changed', doc: 5 }) }, 4000],
  'a reply to nothing': [({ send }, { doc }) => { send({ type: 'closed', req: 99, doc }) }, 4000],
  'a live change before opened': [({ send }, { doc }) => { send({ type: 'changed', doc, cursor: 'c', changes: [{ id: newChangeId('aa'), data: 'AA' }] }) }, 4000],
  'a second welcome': [({ send }) => { send({ type: 'welcome', protocol: 'athena-sync.v1', server: 's', challenge: encode(new Uint8Array(32)), limits: LIMITS, extensions: [] }) }, 4000],
  'a reply of another type': [({ send }, { req, doc }) => { send({ type: 'pushed', req, doc, duplicates: [], rejected: [] }) }, 4000]
}
for (const [what, [act, code]] of Object.entries(wrongs)) {
  test(`${what} ends the connection with ${code}`, async (t) => {
    const server = await scripted(t, { answer: usual({ open: (request, connection) => (act(connection, request), null) }) })
    const anna = await replica(t, { url: server.url })
    const closed = server.closes.next('close')
    anna.connect()
    assert.equal((await closed).code, code)
    if (code === 4000) assert.equal(anna.events.of('fault')[0].code, 'server-fault')
  })
}

test('messages of unknown type and unknown members are ignored', async (t) => {
  const strange = (request, { send }) => { send({ type: 'x:y', req: 'z' }) }
  const server = await scripted(t, { welcome: { 'x:y': 1, extensions: ['x'] }, answer: usual({ open: strange }) })
  const anna = await replica(t, { url: server.url })
  anna.connect()
  await anna.synced()
  assert.deepEqual(anna.events.of('fault'), [])
})

const wrongPushed = [
  { duplicates: [1], rejected: [] },
  { duplicates: [0, 0], rejected: [] },
  { duplicates: [0], rejected: [{ index: 0, code: 'quota' }] }
]
test('pushed that does not fit the push is a fault of the server', async (t) => {
  for (const members of wrongPushed) {
    const server = await scripted(t, { answer: usual({ push: () => ({ type: 'pushed', ...members }) }) })
    const anna = await replica(t, { url: server.url })
    await anna.add(one)
    const fault = anna.events.next('fault', { code: 'server-fault' })
    anna.connect()
    await fault
    assert.equal(anna.state().pending, 1)
  }
})

test('a listed change that is missing is reported and not counted, and no cursor after it is adopted', async (t) => {
  const id = newChangeId('aa')
  const list = (request) => ({ type: 'listed', [request.data ? 'changes' : 'ids']: request.data ? [] : [id], cursor: 'after', more: false })
  const opened = { type: 'opened', count: 1, digest: digestText(1n), cursor: 'after' }
  const server = await scripted(t, { answer: usual({ open: () => opened, list }) })
  const anna = await replica(t, { url: server.url })
  await anna.add(one) // with a change held, ids are listed first
  const missing = anna.events.next('fault', { code: 'missing', id })
  const digest = anna.events.next('fault', { code: 'digest' })
  anna.connect()
  await Promise.all([missing, digest])
  const listings = server.requests.filter(({ type }) => type === 'list')
  assert.deepEqual(listings.map(({ data, after }) => [data, after]), [[false, undefined], [true, undefined]])
})

test('a server with huge limits may answer with more changes than a call takes arguments', { timeout: 120000 }, async (t) => {
  const ids = Array.from({ length: 150000 }, () => newChangeId('aa'))
  const special = {
    open: () => ({ type: 'opened', count: ids.length, digest: digestText(1n), cursor: 'c' }),
    list: (request) => (request.data ? undefined : { type: 'listed', ids, cursor: 'c', more: false }),
    get: () => ({ type: 'got', changes: ids.map((id) => ({ id, data: 'AA' })), missing: [] })
  }
  const server = await scripted(t, { limits: { ...LIMITS, batch: ids.length, message: 1 << 26 }, answer: usual(special) })
  const anna = await replica(t, { url: server.url })
  await anna.add(one)
  anna.connect()
  await anna.synced()
  assert.equal(anna.state().quarantined, ids.length)
})

test('a digest that never fits is reported once a connection, and the replica works on', async (t) => {
  const server = await scripted(t, { answer: usual({ open: () => ({ type: 'opened', count: 3, digest: digestText(9n), cursor: 'c' }) }) })
  const anna = await replica(t, { url: server.url })
  await anna.add(one)
  anna.connect()
  await anna.synced()
  assert.deepEqual(anna.events.of('fault').map(({ code }) => code), ['digest'])
  assert.equal(anna.state().pending, 0)
})

test('live changes during the comparison count after it, and their cursor after that of opened', async (t) => {
  const writer = new Writer()
  const [listed, live] = [writer.change(), writer.change()]
  const sum = add(0n, itemHash(listed.id, decode(listed.data)))
  const list = (request, { send }) => {
    send({ type: 'changed', doc: request.doc, changes: [live], cursor: 'live' })
    return { type: 'listed', changes: [listed], cursor: 'opened', more: false }
  }
  const opened = { type: 'opened', count: 1, digest: digestText(sum), cursor: 'opened' }
  const server = await scripted(t, { answer: usual({ open: () => opened, list }) })
  const storage = new MemoryStorage()
  const anna = await replica(t, { url: server.url, storage })
  anna.connect()
  await anna.events.next('in-sync')
  const state = new State()
  for (const record of storage.load()) state.apply(record)
  const known = state.server(new URL(server.url).host)
  assert.deepEqual([known.cursor, known.known.size], ['live', 2])
  assert.deepEqual(anna.events.of('fault'), [])
})

test('a server that falls silent is probed and then taken for lost', async (t) => {
  const server = await scripted(t, { answer: usual({ list: () => null }) })
  const anna = await replica(t, { url: server.url, times: { idle: 20, patience: 20 } })
  const gone = anna.events.next('disconnected')
  anna.connect()
  assert.deepEqual([(await gone).code, anna.events.of('disconnected')[0].message], [1006, 'the server does not answer'])
  assert.equal(server.requests[1].after, EMPTY.cursor)
})

test('a server that never says welcome is given up', async (t) => {
  const { createServer } = await import('node:http')
  const mute = createServer().listen(0, '127.0.0.1')
  mute.on('upgrade', () => {})
  await once(mute, 'listening')
  atEnd(t, () => { mute.close(); mute.closeAllConnections() })
  const anna = await replica(t, { url: `ws://127.0.0.1:${mute.address().port}/`, times: { welcome: 20 } })
  const gone = anna.events.next('disconnected')
  anna.connect()
  assert.equal((await gone).message, 'no welcome in time')
})

test('a server that says welcome and then nothing is given up, too', async (t) => {
  const server = await scripted(t, { answer: () => null })
  const anna = await replica(t, { url: server.url, times: { welcome: 20 } })
  const gone = anna.events.next('disconnected')
  anna.connect()
  assert.equal((await gone).message, 'no opened in time')
})

test('HTTP 401 is reported, and a token admits', async (t) => {
  const { url } = await serve(t, { token: 'let-me-in' })
  const anna = await replica(t, { url })
  const fault = anna.events.next('fault', { code: 'http-401' })
  anna.connect()
  await fault
  const ben = await replica(t, { url, token: 'let-me-in' })
  ben.connect()
  await ben.synced()
})

test('endings that name a fault are reported; every ending is followed by another attempt', async (t) => {
  for (const code of [1002, 1007, 1009, 4001, 4002, 1011, 3456]) {
    const server = await scripted(t, { answer: usual({ open: (request, { socket }) => (socket.close(code, 'because'), null) }) })
    const anna = await replica(t, { url: server.url })
    const twice = anna.events.next('disconnected', { code }).then(() => anna.events.next('disconnected', { code }))
    anna.connect()
    await twice
    assert.equal(anna.events.of('fault').length > 0, [1002, 1007, 1009, 4001].includes(code))
    await anna.stop()
  }
})

test('storage that fails: nothing is confirmed or acknowledged, and it is said', async (t) => {
  const { url } = await serve(t)
  const writer = new Writer()
  const raw = await dial(t, url)
  await raw.ask(writer.open(raw))
  await raw.ask(writer.push([writer.change()]))
  const storage = new MemoryStorage()
  const fails = async () => { throw new Error('the disk is full') }
  storage.append = fails
  const anna = await replica(t, { url, secret: writer.secret, storage })
  await assert.rejects(anna.add(one), /the disk is full/)
  const fault = anna.events.next('fault', { code: 'storage' })
  anna.connect()
  await fault
  assert.deepEqual([anna.state().changes, anna.state().known], [0, 0])
  delete storage.append
  await anna.synced()
  assert.equal(anna.state().known, 1)

  storage.append = fails
  const lost = anna.events.next('fault', { code: 'storage' })
  await raw.ask(writer.push([writer.change()]))
  await lost
  delete storage.append
  await anna.synced()
  assert.deepEqual([anna.state().changes, anna.state().known], [2, 2])

  const append = storage.append
  storage.append = function (records) { return records.some(({ known }) => known) ? fails() : append.call(this, records) }
  const unsaid = anna.events.next('fault', { code: 'storage' })
  await anna.add(one)
  await unsaid
  assert.equal(anna.state().pending, 1)
  delete storage.append
  await anna.synced()
  assert.deepEqual([anna.state().known, anna.state().pending], [3, 0])
})

test('backoff: random, doubling, bounded, reset', () => {
  const backoff = new Backoff({ first: 1000, most: 5000, random: () => 0.999 })
  const delays = Array.from({ length: 5 }, () => backoff.next())
  assert.deepEqual(delays, [999, 1998, 3996, 4995, 4995])
  backoff.reset()
  assert.equal(backoff.next(), 999)
  assert.equal(new Backoff({ random: () => 0 }).next(), 0)
})

test('the WebSocket of Node follows no redirect', async (t) => {
  const { createServer } = await import('node:http')
  const hops = []
  const here = createServer().listen(0, '127.0.0.1')
  here.on('upgrade', (request, socket) => {
    hops.push(request.url)
    socket.end('HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n')
  })
  await once(here, 'listening')
  atEnd(t, () => here.close())
  const socket = new NodeWebSocket(`ws://127.0.0.1:${here.address().port}/`, ['athena-sync.v1'])
  socket.onerror = () => {}
  await new Promise((resolve) => { socket.onclose = resolve })
  assert.deepEqual([socket.status, hops], [302, ['/']])
})

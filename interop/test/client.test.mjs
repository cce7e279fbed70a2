// Replicas against this repository's server: convergence, repair, crashes.
import test from 'node:test'
import assert from 'node:assert/strict'
import * as Automerge from '@automerge/automerge'
import { jsonOf } from './fixtures.mjs'
import { cli, replica, watch } from './client-kit.mjs'
import { dial, folder, serve, spawnServer, Writer } from './server-kit.mjs'
import { decode, encode } from '../lib/base64url.mjs'
import { encodeChange } from '../lib/messages.mjs'
import { seal } from '../lib/envelope.mjs'
import { newChangeId } from '../lib/ids.mjs'
import { startServer } from '../server/server.mjs'
import { FileStorage } from '../storage-file.mjs'

const text = (word) => new TextEncoder().encode(word)
const words = (one) => [...one.changes()].map(({ data }) => new TextDecoder().decode(data)).sort()
const validate = (id, data) => { Automerge.decodeChange(data) }
const fixture = (name) => jsonOf(`automerge/${name}.json`)
const toAdd = ({ id, data }) => ({ actor: id.split(':')[0], data: decode(data) })
const headsOf = (one) => {
  const [doc] = Automerge.applyChanges(Automerge.init(), [...one.changes()].map(({ data }) => data))
  return Automerge.getHeads(doc).sort()
}

async function inSync(one) {
  one.connect()
  await one.synced()
  return one
}

/** Resolves when a replica holds so many changes. */
async function holds(one, count) {
  while (one.state().changes < count) await one.events.next('change')
}

for (const name of ['single-author', 'two-authors', 'long-paste', 'large-change']) {
  test(`two replicas of ${name} converge on the document`, async (t) => {
    const { url } = await serve(t)
    const { changes, heads } = fixture(name)
    const anna = await replica(t, { url, validate })
    const ben = await replica(t, { url, validate, secret: anna.secret })
    await Promise.all([inSync(anna), inSync(ben)])
    const [odd, even] = [0, 1].map((rest) => changes.filter((_, i) => i % 2 === rest).map(toAdd))
    await Promise.all([anna.add(odd), even.length > 0 && ben.add(even)])
    await Promise.all([holds(anna, changes.length), holds(ben, changes.length)])
    assert.deepEqual(headsOf(anna), heads.slice().sort())
    assert.deepEqual(headsOf(ben), heads.slice().sort())
    assert.equal(anna.state().digest, ben.state().digest)
  })
}

test('what is added offline is kept, sent once, and known after a restart', async (t) => {
  const { url } = await serve(t)
  const data = folder(t)
  const anna = await replica(t, { url, storage: new FileStorage(data) })
  const ids = await anna.add([{ actor: 'aa', data: text('one') }, { actor: 'aa', data: text('two') }])
  assert.equal(anna.state().pending, 2)
  await anna.stop()
  const again = await replica(t, { url, secret: anna.secret, storage: new FileStorage(data) })
  assert.deepEqual(again.events.of('change').map(({ id, own }) => [id, own]), ids.map((id) => [id, true]))
  await inSync(again)
  assert.deepEqual([again.state().pending, again.state().known], [0, 2])
  assert.deepEqual(again.events.of('pushed'), [{ event: 'pushed', count: 2 }])
  const ben = await inSync(await replica(t, { url, secret: anna.secret }))
  assert.deepEqual(words(ben), ['one', 'two'])
})

test('a server that lost its store is filled again by a replica that wrote nothing', async (t) => {
  const first = await serve(t)
  const anna = await replica(t, { url: first.url })
  await anna.add([{ actor: 'aa', data: text('one') }])
  await inSync(anna)
  const ben = await inSync(await replica(t, { url: first.url, secret: anna.secret }))
  await anna.disconnect()
  await first.stop()
  const wiped = await serve(t, { port: first.port })
  ben.retry()
  await ben.events.next('in-sync')
  const carol = await inSync(await replica(t, { url: wiped.url, secret: anna.secret }))
  assert.deepEqual(words(carol), ['one'])
  assert.deepEqual(ben.events.of('fault'), [])
})

test('a server that was rolled back is repaired by who knew more', async (t) => {
  const data = folder(t)
  const server = await startServer({ data })
  const anna = await replica(t, { url: server.url })
  await anna.add([{ actor: 'aa', data: text('one') }])
  await inSync(anna)
  await server.stop()
  const backup = folder(t)
  const { cpSync } = await import('node:fs')
  cpSync(data, backup, { recursive: true })
  const second = await startServer({ data, port: server.port })
  anna.retry()
  await anna.add([{ actor: 'aa', data: text('two') }])
  await anna.synced()
  await second.stop()
  await serve(t, { data: backup, port: server.port })
  anna.retry()
  await anna.events.next('in-sync')
  const ben = await inSync(await replica(t, { url: server.url, secret: anna.secret }))
  assert.deepEqual(words(ben), ['one', 'two'])
})

const rawPush = async (t, url, writer, changes) => {
  const raw = await dial(t, url)
  await raw.ask(writer.open(raw))
  return raw.ask(writer.push(changes))
}

test('an envelope that does not open is kept aside, counted, reported once and never pushed', async (t) => {
  const { url } = await serve(t)
  const anna = await replica(t, { url, validate })
  const writer = new Writer(anna.secret)
  const rubbish = { id: newChangeId('ab'), data: encode(new Uint8Array(200).fill(1)) }
  const noChange = newChangeId('ab')
  await rawPush(t, url, writer, [rubbish, encodeChange({ id: noChange, data: seal(writer.keys, noChange, text('no change')) })])
  await anna.add(fixture('single-author').changes.map(toAdd))
  await inSync(anna)
  assert.deepEqual(anna.events.of('quarantined').map(({ id, code }) => [id, code]), [[rubbish.id, 'ASP-ENV-5'], [noChange, 'not-a-change']])
  const lists = anna.state()
  assert.equal(lists.known, 2 + fixture('single-author').changes.length)
  await anna.disconnect()
  const again = await inSync(await replica(t, { url, secret: anna.secret, storage: anna.storage, validate }))
  assert.deepEqual([again.state().quarantined, again.events.of('quarantined').length], [2, 0])
  const other = await serve(t)
  again.connect(other.url)
  await again.events.next('in-sync')
  assert.equal(again.state().known, fixture('single-author').changes.length)
})

test('other bytes under an id that is held are a conflict, once; both sides keep their own', async (t) => {
  const { url } = await serve(t)
  const anna = await replica(t, { url })
  const [id] = await anna.add([{ actor: 'aa', data: text('mine') }])
  const writer = new Writer(anna.secret)
  const theirs = encodeChange({ id, data: seal(writer.keys, id, text('theirs')) })
  await rawPush(t, url, writer, [theirs])
  await inSync(anna)
  assert.deepEqual(anna.events.of('conflict').map((event) => event.id), [id])
  assert.deepEqual([words(anna), anna.state().pending, anna.state().conflicts], [['mine'], 0, 1])
  await anna.disconnect()
  const again = await inSync(await replica(t, { url, secret: anna.secret, storage: anna.storage }))
  assert.deepEqual([again.events.of('conflict'), again.events.of('fault')], [[], []])
})

test('the server is killed among pushes: nothing is lost, nothing comes twice', async (t) => {
  const data = folder(t)
  const first = await spawnServer(t, data)
  const { port } = new URL(first.url)
  const anna = await replica(t, { url: first.url })
  const ben = await inSync(await replica(t, { url: first.url, secret: anna.secret }))
  await inSync(anna)
  const adds = []
  for (let i = 0; i < 200; i++) {
    adds.push(anna.add([{ actor: 'aa', data: text(`word ${i}`) }]))
    if (i === 100) await anna.events.next('pushed').then(() => first.kill('SIGKILL'))
  }
  await Promise.all(adds)
  await spawnServer(t, data, { args: ['--port', port] })
  await anna.synced()
  await holds(ben, 200)
  assert.deepEqual(words(ben), words(anna))
  assert.equal(new Set(ben.events.of('change').map(({ id }) => id)).size, ben.events.of('change').length)
})

test('the client is killed among additions: what it confirmed is there and reaches the others', async (t) => {
  const { url } = await serve(t)
  const data = folder(t)
  await cli('init', data, '--url', url)
  const key = (await cli('key', data)).out.trim()
  const anna = await watch(t, data)
  const confirmed = []
  for (let i = 0; i < 50; i++) confirmed.push(anna.ask('add', { actor: 'aa', data: encode(text(`word ${i}`)) }))
  const { ids } = await confirmed[25]
  await anna.kill('SIGKILL')
  const before = anna.events.of('answer').flatMap((answer) => answer.ids)
  assert.ok(before.includes(ids[0]))
  const again = await watch(t, data)
  await again.ask('sync')
  const held = again.events.of('change').map(({ id }) => id)
  for (const id of before) assert.ok(held.includes(id))
  const { decode: bytes } = await import('../lib/base64url.mjs')
  const ben = await inSync(await replica(t, { url, secret: bytes(key) }))
  assert.deepEqual([...ben.changes()].map(({ id }) => id).sort(), held.slice().sort())
})

test('the command line: init, key, offline, connect, state, wrong input, stop', async (t) => {
  const { url } = await serve(t)
  const data = folder(t)
  assert.equal((await cli('init', data)).code, 0)
  assert.match((await cli('key', data)).out, /^[A-Za-z0-9_-]{43}\n$/)
  assert.equal((await cli('init', data)).code, 2)
  assert.equal((await cli('watch', folder(t))).code, 2)
  const anna = await watch(t, data, '--offline')
  assert.equal((await anna.ask('connect')).ok, false)
  assert.deepEqual((await anna.ask('add', { actor: 'XY', data: 'AA' })).ok, false)
  assert.deepEqual((await anna.ask('add', { actor: 'ab', data: 'A' })).ok, false)
  assert.equal((await anna.ask('dance')).ok, false)
  const added = await anna.ask('add', { changes: [{ actor: 'ab', data: 'AA' }, { actor: 'ab', data: 'AQ' }] })
  assert.deepEqual([added.ids.length, added.number], [2, 2])
  assert.equal((await anna.ask('connect', { url })).ok, true)
  assert.equal((await anna.ask('sync')).ok, true)
  const { event, id, ok, digest, ...state } = await anna.ask('state')
  assert.deepEqual(state, { changes: 2, quarantined: 0, pending: 0, refused: 0, conflicts: 0, known: 2, connected: true, in_sync: true })
  await anna.ask('disconnect')
  assert.equal((await anna.ask('state')).connected, false)
  await anna.ask('stop')
  assert.deepEqual(await anna.ended, [0, null])
})

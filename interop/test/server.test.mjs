// What the conformance suite cannot see of this server: its files, its limits in time, its options.
import test from 'node:test'
import assert from 'node:assert/strict'
import { appendFileSync, cpSync, openSync, closeSync, readdirSync, statSync, truncateSync, writeSync } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'
import WebSocket from 'ws'
import { startServer } from '../server/server.mjs'
import { dial, envelopeLength, folder, serve, spawnServer, Writer } from './server-kit.mjs'

async function store(t, url, writer, changes) {
  const alice = await dial(t, url)
  const opened = await alice.ask(writer.open(alice))
  assert.equal(opened.type, 'opened')
  return { alice, opened, pushed: await alice.ask(writer.push(changes)) }
}

async function stored(t, url, writer) {
  const bob = await dial(t, url)
  await bob.ask(writer.open(bob))
  return (await bob.ask(writer.list({ data: true }))).changes
}

test('a record torn at the end is cut off, everything before it stays', async (t) => {
  const data = folder(t)
  const writer = new Writer()
  const changes = [writer.change(), writer.change(), writer.change()]
  const first = await startServer({ data })
  const { alice } = await store(t, first.url, writer, changes.slice(0, 2))
  await alice.ask(writer.push(changes.slice(2)))
  await first.stop()
  const log = join(data, 'changes.log')
  for (const tear of [() => truncateSync(log, statSync(log).size - 1), () => appendFileSync(log, Buffer.alloc(5000))]) {
    tear()
    const again = await startServer({ data })
    assert.ok(again.store.droppedBytes > 0)
    assert.deepEqual(await stored(t, again.url, writer), changes.slice(0, 2))
    await again.stop()
  }
})

test('damage before the end is refused, not cut off', async (t) => {
  const data = folder(t)
  const writer = new Writer()
  const server = await startServer({ data })
  const { alice } = await store(t, server.url, writer, [writer.change()])
  await alice.ask(writer.push([writer.change()]))
  await server.stop()
  const log = join(data, 'changes.log')
  const size = statSync(log).size
  const fd = openSync(log, 'r+')
  writeSync(fd, 'damaged', 100)
  closeSync(fd)
  await assert.rejects(startServer({ data }), { name: 'DamagedLog', message: /the record at 37 is damaged: it is not the last/ })
  assert.equal(statSync(log).size, size)
})

test('two processes never use one folder; a dead one does not keep the next out', async (t) => {
  const data = folder(t)
  const first = await spawnServer(t, data)
  await assert.rejects(spawnServer(t, data), /in use by process/)
  await first.kill('SIGKILL')
  const second = await spawnServer(t, data)
  assert.equal(await second.kill('SIGTERM'), 0)
  assert.deepEqual(readdirSync(data), ['changes.log'])
})

test('a copy of the folder of a running server can be started', async (t) => {
  const data = folder(t)
  const writer = new Writer()
  const changes = [writer.change()]
  const running = await spawnServer(t, data)
  await store(t, running.url, writer, changes)
  const copy = folder(t)
  cpSync(join(data, 'changes.log'), join(copy, 'changes.log'))
  const second = await serve(t, { data: copy })
  assert.deepEqual(await stored(t, second.url, writer), changes)
})

const status = async (url, protocols, headers) => {
  const socket = new WebSocket(url, protocols, { headers })
  const [, response] = await Promise.race([once(socket, 'unexpected-response'), once(socket, 'open').then(() => [null, null])])
  socket.on('error', () => {}).terminate()
  return response && [response.statusCode, response.headers['www-authenticate']]
}

test('a token admits in either way, and nothing else does', async (t) => {
  const { url } = await serve(t, { token: 's3cr3t-token' })
  const v1 = 'athena-sync.v1'
  const good = `athena-token.${Buffer.from('s3cr3t-token').toString('base64url')}`
  assert.equal(await status(url, [v1], { authorization: 'bEARER s3cr3t-token' }), null)
  assert.equal(await status(url, [v1, good], {}), null)
  assert.deepEqual(await status(url, [v1], {}), [401, 'Bearer'])
  assert.deepEqual(await status(url, [v1, 'athena-token.AAAA', good], {}), [401, 'Bearer'])
  assert.deepEqual(await status(url, [v1, good], { authorization: 'Bearer wrong' }), [401, 'Bearer'])
  assert.deepEqual(await status(url, ['chat', good], {}), [400, undefined])
})

test('beyond loopback it wants a token or to be told that it is public', async (t) => {
  await assert.rejects(startServer({ data: folder(t), host: '0.0.0.0' }), /needs a token/)
  const server = await startServer({ data: folder(t), host: '0.0.0.0', isPublic: true })
  await server.stop()
})

test('connections above the bound get 503', async (t) => {
  const { url } = await serve(t, { maxConnections: 1 })
  await dial(t, url)
  assert.deepEqual(await status(url, ['athena-sync.v1'], {}), [503, undefined])
})

test('who opens nothing in time is sent away with 4001', async (t) => {
  const { url } = await serve(t, { openMs: 20 })
  assert.equal(await (await dial(t, url)).closed, 4001)
})

test('an idle connection is pinged; one that answers stays, one that does not is ended', async (t) => {
  const { url } = await serve(t, { idleMs: 20, deadMs: 80 })
  const alive = await dial(t, url)
  const dead = await dial(t, url, { autoPong: false })
  assert.equal(await dead.closed, 1006)
  await once(alive.socket, 'ping')
  assert.equal(alive.socket.readyState, WebSocket.OPEN)
})

test('a quota rejects new changes only', async (t) => {
  const { url } = await serve(t, { maxDocumentBytes: 2 * envelopeLength(10) })
  const writer = new Writer()
  const changes = [writer.change(), writer.change(), writer.change()]
  const { alice, pushed } = await store(t, url, writer, changes)
  assert.deepEqual(pushed.rejected, [{ index: 2, code: 'quota' }])
  const again = await alice.ask(writer.push(changes))
  assert.deepEqual([again.duplicates, again.rejected], [[0, 1], [{ index: 2, code: 'quota' }]])
})

test('when a write fails the push is unavailable, nothing of it stays, and the rest goes on', async (t) => {
  const data = folder(t)
  const writer = new Writer()
  const small = [writer.change()]
  const server = await spawnServer(t, data, { shell: 'trap "" XFSZ; ulimit -f 64; exec "$@"' }) // 32 KiB a file
  const { alice } = await store(t, server.url, writer, small)
  const answer = await alice.ask(writer.push([writer.change(100000)]))
  assert.deepEqual([answer.type, answer.code], ['error', 'unavailable'])
  const later = [writer.change()]
  assert.deepEqual((await alice.ask(writer.push(later))).rejected, [])
  assert.deepEqual(await stored(t, server.url, writer), [...small, ...later])
  await server.kill('SIGKILL')
  const again = await serve(t, { data })
  assert.deepEqual(await stored(t, again.url, writer), [...small, ...later])
})

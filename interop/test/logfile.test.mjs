// The log file under both stores: what damage is refused, what is cut off and told, what it costs.
import test from 'node:test'
import assert from 'node:assert/strict'
import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cli, watch } from './client-kit.mjs'
import { folder, spawnServer } from './server-kit.mjs'
import { LogFile } from '../node/logfile.mjs'
import { FileStorage } from '../storage-file.mjs'

const HEAD = 37
const WORDS = ['one', 'two', 'three']

function reopen(path) {
  const payloads = []
  const log = new LogFile(path, (payload) => payloads.push(String(payload)))
  log.close()
  return { payloads, dropped: log.dropped }
}

/** A log of three records: its path, its bytes, and where each record ends. */
async function threeRecords(t) {
  const path = join(folder(t), 'a.log')
  const log = new LogFile(path, () => {})
  const ends = []
  for (const word of WORDS) {
    await log.append(Buffer.from(word))
    ends.push(log.size)
  }
  log.close()
  return { path, bytes: readFileSync(path), ends }
}

function flipped(bytes, at) {
  const copy = Buffer.from(bytes)
  copy[at] ^= 0x10
  return copy
}

const DAMAGED = { name: 'DamagedLog', message: /no log of this program, or one whose first 37 bytes are damaged/ }

test('damage anywhere before the last record is refused and nothing is written; in it, it is cut off and told', async (t) => {
  const { path, bytes, ends } = await threeRecords(t)
  assert.deepEqual(reopen(path), { payloads: WORDS, dropped: 0 })
  for (let at = 0; at < bytes.length; at++) {
    const damaged = flipped(bytes, at)
    writeFileSync(path, damaged)
    if (at < ends[1]) {
      assert.throws(() => reopen(path), at < HEAD ? DAMAGED : /the record at \d+ is damaged: it is not the last/, `byte ${at}`)
      assert.ok(readFileSync(path).equals(damaged), `byte ${at}`)
    } else {
      assert.deepEqual(reopen(path), { payloads: WORDS.slice(0, 2), dropped: bytes.length - ends[1] }, `byte ${at}`)
    }
  }
})

test('two damaged records at the end are no write that was never finished', async (t) => {
  const { path, bytes, ends } = await threeRecords(t)
  writeFileSync(path, flipped(flipped(bytes, ends[1] - 1), ends[2] - 1))
  assert.throws(() => reopen(path), { message: new RegExp(`the record at ${ends[0]} is damaged: it is not the last`) })
})

test('a log cut short anywhere holds the records before, and one whose head is cut is refused', async (t) => {
  const { path, bytes, ends } = await threeRecords(t)
  for (let size = 0; size < bytes.length; size++) {
    writeFileSync(path, bytes.subarray(0, size))
    if (size < HEAD) assert.throws(() => reopen(path), DAMAGED)
    else assert.equal(reopen(path).payloads.length, ends.filter((end) => end <= size).length)
  }
})

test('bytes that look like records of another log are nothing in a torn tail', async (t) => {
  const { path, bytes, ends } = await threeRecords(t)
  const other = (await threeRecords(t)).bytes
  const tail = Buffer.alloc(3 << 20, other.subarray(HEAD))
  writeFileSync(path, Buffer.concat([bytes.subarray(0, ends[1]), tail]))
  assert.deepEqual(reopen(path), { payloads: WORDS.slice(0, 2), dropped: tail.length })
})

test('a record behind more than one chunk of damage is found', async (t) => {
  const path = join(folder(t), 'a.log')
  const log = new LogFile(path, () => {})
  await log.append(Buffer.alloc((1 << 20) - 24)) // so that the next mark lies across two chunks
  await log.append(Buffer.from('last'))
  log.close()
  writeFileSync(path, flipped(readFileSync(path), HEAD))
  assert.throws(() => reopen(path), { name: 'DamagedLog' })
})

test('server and client refuse a damaged head, and say what they had to cut off', async (t) => {
  const [server, client] = [folder(t), folder(t)]
  await (await spawnServer(t, server)).kill('SIGTERM')
  assert.equal((await cli('init', client)).code, 0)
  await (await watch(t, client)).ask('stop')
  for (const [log, start] of [[join(server, 'changes.log'), () => spawnServer(t, server)], [join(client, 'replica.log'), () => cli('watch', client)]]) {
    const bytes = readFileSync(log)
    writeFileSync(log, flipped(bytes, 20))
    const told = await start().then(({ err }) => err, (error) => error.message)
    assert.match(told, DAMAGED.message)
    writeFileSync(log, bytes)
    appendFileSync(log, 'torn')
    const again = await start()
    assert.match(again.err ?? again.errors(), /^dropped 4 bytes at the end of the log/)
    assert.equal(statSync(log).size, bytes.length)
  }
})

test('as many changes as one call may bring can be loaded again', async (t) => {
  const data = folder(t)
  const storage = new FileStorage(data)
  await storage.append(Array.from({ length: 200000 }, (_, i) => ({ i })))
  await storage.close()
  const again = new FileStorage(data)
  assert.equal(again.load().length, 200000)
  await again.close()
})

// The driver contract, as far as the conformance suite does not look: order, odd lines, kills.
import test from 'node:test'
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { run, watch } from './client-kit.mjs'
import { folder, serve } from './server-kit.mjs'

const key = 'A'.repeat(43)
const add = (id, text) => ({ cmd: 'add', id, actor: 'ee01', data: Buffer.from(text).toString('base64url') })

async function driver(t, { data = join(folder(t), 'new'), url = 'ws://127.0.0.1:1/' } = {}) {
  return { data, ...await watch(t, data, '--key', key, '--url', url, '--offline') }
}

test('answers come in the order of the commands, and each command sees those before', async (t) => {
  const { write, events } = await driver(t)
  const last = events.next('answer', { id: 7 })
  const lines = [add(1, 'a'), add(2, 'b'), { ...add(3, ''), actor: 'X' }, { cmd: 'state', id: 4 }, add(5, 'c'), { cmd: 'fly', id: 6 }, { cmd: 'state', id: 7 }]
  write(lines.map((line) => JSON.stringify(line)).join('\n'))
  assert.equal((await last).changes, 3)
  const answers = events.of('answer')
  assert.deepEqual(answers.map(({ id, ok, code }) => [id, ok, code]), [
    [1, true, undefined], [2, true, undefined], [3, false, 'bad-command'], [4, true, undefined],
    [5, true, undefined], [6, false, 'unsupported'], [7, true, undefined]
  ])
  assert.equal(answers[3].changes, 2)
})

test('a line that is no command is answered, and the next one taken', async (t) => {
  const { write, events } = await driver(t)
  const last = events.next('answer', { id: 'last' })
  write('nonsense\n[1]\nnull\n{"id":2}\n{"cmd":"add","id":3,"changes":{}}\n{"cmd":"state","id":"last"}')
  await last
  assert.deepEqual(events.of('answer').map(({ id, code }) => [id, code]), [
    [undefined, 'bad-command'], [undefined, 'bad-command'], [undefined, 'bad-command'], [2, 'unsupported'], [3, 'bad-command'], ['last', undefined]
  ])
})

test('sync waits while other commands are answered, and one for a connection that comes later', async (t) => {
  const { url } = await serve(t)
  const { ask, events } = await driver(t, { url })
  await ask('add', { actor: 'ee01', data: 'AA' })
  const synced = ask('sync')
  assert.equal((await ask('state')).pending, 1)
  await ask('connect')
  assert.equal((await synced).ok, true)
  await ask('disconnect')
  assert.deepEqual(events.of('disconnected'), [])
})

test('own changes are told again by replay and after a start, not when they are added', async (t) => {
  const { ask, events, ended, data } = await driver(t)
  const { ids } = await ask('add', { changes: [{ actor: 'ee01', data: 'AA' }, { actor: 'ee01', data: 'AQ' }] })
  assert.deepEqual(events.of('change'), [])
  await ask('replay', { after: 1 })
  assert.deepEqual(events.of('change').map(({ id, own }) => [id, own]), [[ids[1], true]])
  await ask('stop')
  assert.deepEqual(await ended, [0, null])
  const again = await driver(t, { data })
  assert.deepEqual(again.events.of('change').map(({ id }) => id), ids)
})

test('the end of the input ends it once what was commanded is done', async (t) => {
  const { write, events, end, ended } = await driver(t)
  write([1, 2, 3].map((id) => JSON.stringify(add(id, 'x'))).join('\n'))
  end()
  assert.deepEqual(await ended, [0, null])
  assert.deepEqual(events.of('answer').map(({ id, ok }) => [id, ok]), [[1, true], [2, true], [3, true]])
})

test('a folder of another document is refused', async (t) => {
  const { data, ask } = await driver(t)
  await ask('stop')
  const { code, err } = await run('cli.mjs', 'watch', data, '--key', 'B'.repeat(42) + 'A', '--offline')
  assert.deepEqual([code, /another document/.test(err)], [2, true])
})

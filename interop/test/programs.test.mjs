// The command lines of the programs: help, and what is said about wrong options.
import test from 'node:test'
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './client-kit.mjs'
import { folder } from './server-kit.mjs'

for (const args of [['cli.mjs', '--help'], ['cli.mjs', 'watch', '--help'], ['server.mjs', '--help']]) {
  test(`${args.join(' ')} prints the usage`, async () => {
    const { code, out, err } = await run(...args)
    assert.deepEqual([code, err], [0, ''])
    assert.match(out, /^usage: /)
  })
}

test('a recording that is asked for has to be there', async (t) => {
  const before = process.env.ATHENA_TRACES
  t.after(() => (before === undefined ? delete process.env.ATHENA_TRACES : (process.env.ATHENA_TRACES = before)))
  process.env.ATHENA_TRACES = '/nowhere'
  const { code, err } = await run('matrix.mjs')
  assert.equal(code, 2)
  assert.match(err, /^\/nowhere\/friendsforever.json.gz not found/)
})

// Each with what the message has to name. FOLDER is one that would be used if the options were right.
const WRONG = [
  [['cli.mjs'], /a command is wanted/],
  [['cli.mjs', 'dance', 'FOLDER'], /dance is no command/],
  [['cli.mjs', 'key'], /key takes one folder, not 0/],
  [['cli.mjs', 'init', 'FOLDER', 'again'], /init takes one folder, not 2/],
  [['cli.mjs', 'init', 'FOLDER', '--offline'], /'--offline'/],
  [['cli.mjs', 'init', 'FOLDER', '--key', 'abc'], /43 characters/],
  [['cli.mjs', 'init', 'FOLDER', '--url', 'nowhere'], /nowhere: not a URL/],
  [['cli.mjs', 'init', 'FOLDER', '--url', 'http://a/'], /neither ws nor wss/],
  [['cli.mjs', 'watch', 'FOLDER'], /is no replica/],
  [['server.mjs'], /--data is missing/],
  [['server.mjs', '--data', 'FOLDER', '--frob'], /'--frob'/],
  [['server.mjs', '--data', 'FOLDER', 'more'], /'more'/],
  [['server.mjs', '--data'], /'--data/],
  [['server.mjs', '--data', 'FOLDER', '--port', '65536'], /--port 65536: not a whole number up to 65535/],
  [['server.mjs', '--data', 'FOLDER', '--port', ''], /--port : not a whole number/],
  [['server.mjs', '--data', 'FOLDER', '--quota', '1k'], /--quota 1k: not a whole number/],
  [['server.mjs', '--data', 'FOLDER', '--name', 'EXAMPLE.org'], /--name EXAMPLE.org: not an authority/],
  [['server.mjs', '--data', 'FOLDER', '--host', '0.0.0.0'], /--host 0.0.0.0 needs --token-file/],
  [['server.mjs', '--data', 'FOLDER', '--token-file', 'none'], /none/]
]

test('a value may begin with a dash, as one key in 64 does', async (t) => {
  const path = join(folder(t), 'new')
  const key = `-${'A'.repeat(42)}`
  assert.deepEqual((await run('cli.mjs', 'init', path, '--key', key)).code, 0)
  assert.equal((await run('cli.mjs', 'key', path)).out, `${key}\n`)
})

for (const [command, what] of WRONG) {
  test(`${command.join(' ')} is refused, and nothing is made`, async (t) => {
    const path = join(folder(t), 'new')
    const { code, out, err } = await run(...command.map((word) => (word === 'FOLDER' ? path : word)))
    assert.deepEqual([code, out], [2, ''])
    assert.match(err, what)
    assert.match(err, /^usage: /m)
    assert.equal(existsSync(path), false)
  })
}

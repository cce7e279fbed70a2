#!/usr/bin/env node
// A replica in a folder, as a program.
import { createInterface } from 'node:readline'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Replica } from './client.mjs'
import { Driver } from './driver.mjs'
import { authorityOf } from './lib/authority.mjs'
import { newSecret, secretFromText } from './lib/keys.mjs'
import { encode } from './lib/base64url.mjs'
import { lossOf, replaceFile } from './node/logfile.mjs'
import { parseOptions } from './node/options.mjs'
import { NodeWebSocket } from './node/websocket.mjs'
import { FileStorage } from './storage-file.mjs'

const USAGE = `usage: cli.mjs init FOLDER [--url URL] [--key KEY]
       cli.mjs key FOLDER
       cli.mjs watch FOLDER [--key KEY] [--url URL] [--offline] [--patience-ms MS] [--token-file FILE] [--automerge]

  init    makes a replica, of a new document or, with --key, of one that exists
  key     prints the document secret
  watch   runs it, driven by JSON lines as spec/driver.md says; with --key, makes it when there is none

  --url URL          the server; init remembers it
  --key KEY          the document secret, 43 characters; - reads it from standard input
  --offline          does not connect until told to
  --patience-ms MS   silence to bear before asking for a sign of life, and then for its coming; 0: the usual
  --token-file FILE  its first line is the server's token
  --automerge        puts received bytes that are no Automerge change into quarantine
  --help             prints this`

class UsageError extends Error {}

const CONFIG = 'replica.json'

function init(folder, { url, key }) {
  if (existsSync(join(folder, CONFIG))) throw new UsageError(`${folder} is a replica already`)
  if (url !== undefined) authorityOf(url)
  const secret = key === undefined ? newSecret() : readKey(key)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  replaceFile(join(folder, CONFIG), `${JSON.stringify({ secret: encode(secret), url })}\n`)
}

const readKey = (key) => secretFromText(key === '-' ? firstLine(0) : key)
const firstLine = (file) => readFileSync(file, 'utf8').split(/\r?\n/)[0]

function config(folder) {
  const path = join(folder, CONFIG)
  if (!existsSync(path)) throw new UsageError(`${folder} is no replica`)
  return JSON.parse(readFileSync(path, 'utf8'))
}

// What a folder is, made first when there is a key for it and no replica in it.
function joined(folder, { url, key }) {
  if (key === undefined) return config(folder)
  if (key === '-') throw new UsageError('watch reads commands from standard input, no key: init takes one there')
  const secret = encode(readKey(key))
  if (!existsSync(join(folder, CONFIG))) init(folder, { url, key: secret })
  const found = config(folder)
  if (found.secret !== secret) throw new UsageError(`${folder} is a replica of another document`)
  return found
}

async function automergeCheck() {
  const { decodeChange } = await import('@automerge/automerge')
  return (id, data) => { decodeChange(data) }
}

async function watch(folder, { url, key, offline, 'patience-ms': patience, 'token-file': tokenFile, automerge }) {
  const times = patienceOf(patience)
  const { secret, url: usual } = joined(folder, { url, key })
  const storage = new FileStorage(folder)
  if (storage.droppedBytes > 0) console.error(lossOf(storage.droppedBytes))
  const driver = new Driver((line) => process.stdout.write(`${JSON.stringify(line)}\n`))
  const replica = await Replica.open({
    storage,
    secret: secretFromText(secret),
    WebSocket: NodeWebSocket,
    url: url ?? usual,
    token: tokenFile && firstLine(tokenFile),
    times,
    validate: automerge ? await automergeCheck() : undefined,
    onEvent: (event) => driver.event(event)
  })
  warn(url ?? usual)
  driver.ready(replica)
  if (!offline && (url ?? usual) !== undefined) replica.connect()
  obey(driver)
}

// undefined for the usual times.
function patienceOf(text = '0') {
  if (!/^\d{1,8}$/.test(text)) throw new UsageError(`--patience-ms ${text}: not a whole number of milliseconds`)
  const time = Number(text)
  return time === 0 ? undefined : { idle: time, patience: time, welcome: time }
}

// Without TLS whoever is on the path can take over the connection.
function warn(url) {
  if (url === undefined || url.startsWith('wss:')) return
  const { hostname } = new URL(url)
  const isLoopback = hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.')
  if (!isLoopback) console.error(`warning: ${hostname} is not this machine, and ws is not encrypted: use wss`)
}

// It ends at `stop`, at the end of the input, at a signal, or when nobody reads what it says.
function obey(driver) {
  const stop = () => driver.end().then(finish)
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  process.stdout.on('error', stop)
  const input = createInterface(process.stdin)
  input.on('line', (line) => driver.take(line).then((stopped) => stopped && finish()))
  input.on('close', stop)
}

// What was printed has to leave before the process does.
const finish = () => process.stdout.write('', () => process.exit(0))

const PROGRAM = {
  init: { run: init, options: { url: { type: 'string' }, key: { type: 'string' } } },
  key: { run: (folder) => process.stdout.write(`${config(folder).secret}\n`), options: {} },
  watch: {
    run: watch,
    options: {
      key: { type: 'string' },
      url: { type: 'string' },
      offline: { type: 'boolean' },
      'patience-ms': { type: 'string' },
      'token-file': { type: 'string' },
      automerge: { type: 'boolean' }
    }
  }
}

async function main([name, ...args]) {
  if (name === '--help' || args.includes('--help')) return console.log(USAGE)
  if (!Object.hasOwn(PROGRAM, name ?? '')) throw new UsageError(name === undefined ? 'a command is wanted' : `${name} is no command`)
  const { run, options } = PROGRAM[name]
  const { values, positionals } = parseOptions({ args, allowPositionals: true, options })
  if (positionals.length !== 1) throw new UsageError(`${name} takes one folder, not ${positionals.length}`)
  return run(positionals[0], values)
}

main(process.argv.slice(2)).catch((error) => {
  const isUsage = error instanceof UsageError || error instanceof TypeError
  console.error(isUsage ? `${error.message}\n\n${USAGE}` : error.message)
  process.exit(isUsage ? 2 : 1)
})

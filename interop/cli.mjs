#!/usr/bin/env node
// A replica as a program: commands as JSON lines on standard input, events on standard output.
import { createInterface } from 'node:readline'
import { existsSync, openSync, closeSync, fsyncSync, mkdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { Replica } from './client.mjs'
import { authorityOf } from './lib/authority.mjs'
import { newSecret, secretFromText } from './lib/keys.mjs'
import { decode, encode } from './lib/base64url.mjs'
import { syncFolder } from './node/logfile.mjs'
import { parseOptions } from './node/options.mjs'
import { NodeWebSocket } from './node/websocket.mjs'
import { FileStorage } from './storage-file.mjs'

const USAGE = `usage: cli.mjs init FOLDER [--url URL] [--key KEY]
       cli.mjs key FOLDER
       cli.mjs watch FOLDER [--url URL] [--offline] [--token-file FILE] [--automerge]

  init    makes a replica, of a new document or, with --key, of one that exists
  key     prints the document secret
  watch   runs it: JSON lines in and out, as athena-sync(1) describes them

  --url URL          the server; init remembers it
  --key KEY          the document secret, 43 characters; - reads it from standard input
  --offline          does not connect until told to
  --token-file FILE  its first line is the server's token
  --automerge        puts received bytes that are no Automerge change into quarantine
  --help             prints this`

class UsageError extends Error {}

const CONFIG = 'replica.json'

function init(folder, { url, key }) {
  const path = join(folder, CONFIG)
  if (existsSync(path)) throw new UsageError(`${folder} is a replica already`)
  if (url !== undefined) authorityOf(url)
  const secret = key === undefined ? newSecret() : secretFromText(key === '-' ? firstLine(0) : key)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const fd = openSync(path, 'wx', 0o600)
  writeSync(fd, `${JSON.stringify({ secret: encode(secret), url })}\n`)
  fsyncSync(fd)
  closeSync(fd)
  syncFolder(folder)
}

const firstLine = (file) => readFileSync(file, 'utf8').split(/\r?\n/)[0]

function config(folder) {
  const path = join(folder, CONFIG)
  if (!existsSync(path)) throw new UsageError(`${folder} is no replica`)
  return JSON.parse(readFileSync(path, 'utf8'))
}

const print = (event) => process.stdout.write(`${JSON.stringify(event)}\n`)
const toLine = (event) => (event.event === 'change' ? { ...event, data: encode(event.data) } : event)

async function automergeCheck() {
  const { decodeChange } = await import('@automerge/automerge')
  return (id, data) => { decodeChange(data) }
}

async function watch(folder, { url, offline, 'token-file': tokenFile, automerge }) {
  const { secret, url: usual } = config(folder)
  const lines = [] // events from before `ready`
  let emit = (event) => lines.push(event)
  const replica = await Replica.open({
    storage: new FileStorage(folder),
    secret: secretFromText(secret),
    WebSocket: NodeWebSocket,
    url: url ?? usual,
    token: tokenFile && firstLine(tokenFile),
    validate: automerge ? await automergeCheck() : undefined,
    onEvent: (event) => emit(toLine(event))
  })
  warn(url ?? usual)
  print({ event: 'ready', doc: replica.doc })
  lines.forEach(print)
  emit = (event) => { if (event.event !== 'change' || !event.own) print(event) } // whoever adds knows it
  if (!offline && (url ?? usual) !== undefined) replica.connect()
  obey(replica)
}

// Without TLS whoever is on the path can take over the connection.
function warn(url) {
  if (url === undefined || url.startsWith('wss:')) return
  const { hostname } = new URL(url)
  const isLoopback = hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.')
  if (!isLoopback) console.error(`warning: ${hostname} is not this machine, and ws is not encrypted: use wss`)
}

function bytesOf(text) {
  const bytes = typeof text === 'string' ? decode(text) : null
  if (bytes === null) throw new UsageError('`data` is not canonical base64url')
  return bytes
}

const COMMANDS = {
  async add(replica, { actor, data, changes = [{ actor, data }] }) {
    const ids = await replica.add(changes.map((change) => ({ actor: String(change.actor), data: bytesOf(change.data) })))
    return { ids, number: replica.change(ids.at(-1))?.number ?? replica.state().changes }
  },
  connect: (replica, { url }) => replica.connect(url),
  disconnect: (replica) => replica.disconnect(),
  retry: (replica) => replica.retry(),
  state: (replica) => replica.state(),
  sync: (replica) => replica.synced(),
  stop: (replica) => replica.stop()
}

async function answer(replica, line) {
  let command = {}
  try {
    command = JSON.parse(line)
    if (!Object.hasOwn(COMMANDS, command?.cmd)) throw new UsageError('no such command')
    const members = await COMMANDS[command.cmd](replica, command)
    print({ event: 'answer', id: command.id, ...members, ok: true })
  } catch (error) {
    print({ event: 'answer', id: command?.id ?? null, code: error.code ?? error.name, message: error.message, ok: false })
  }
  return command?.cmd === 'stop'
}

// Commands run side by side, since `sync` may wait for a `connect` that comes later. It ends at
// `stop`, at the end of the input, at a signal, or when nobody reads what it says.
function obey(replica) {
  const input = createInterface(process.stdin)
  const stop = () => replica.stop().then(finish)
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  process.stdout.on('error', stop)
  input.on('line', (line) => answer(replica, line).then((stopped) => stopped && finish()))
  input.on('close', stop)
}

// What was printed has to leave before the process does.
const finish = () => process.stdout.write('', () => process.exit(0))

const PROGRAM = {
  init: { run: init, options: { url: { type: 'string' }, key: { type: 'string' } } },
  key: { run: (folder) => process.stdout.write(`${config(folder).secret}\n`), options: {} },
  watch: {
    run: watch,
    options: { url: { type: 'string' }, offline: { type: 'boolean' }, 'token-file': { type: 'string' }, automerge: { type: 'boolean' } }
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

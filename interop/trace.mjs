// A real editing session through real processes: node interop/trace.mjs
//
// Two people's 26,078 edits become Automerge changes. Two replicas, each an `athena-sync watch` with
// a folder of its own, push them through an `athena-syncd` while connections are cut, and clients
// and the server are killed; a third replica joins by key at the end. Each must then hold exactly
// these changes, and Automerge must make the very text of the session from them.
//
// ATHENA_TRACES names the folder with friendsforever.json.gz (of the public collection
// josephg/editing-traces, CC BY 4.0), ATHENA_BUILD that of the programs. Where the recording is not
// at hand, a session of the same kind is made up from a fixed seed, and the first line says so.
// Exit: 0 all as it should be, 1 not, 2 there is nothing to run.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import * as Automerge from '@automerge/automerge'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const BUILD = process.env.ATHENA_BUILD ?? here('../build')
const TRACE = join(process.env.ATHENA_TRACES ?? here('../../shared/traces'), 'friendsforever.json.gz')
const SERVER = join(BUILD, 'athena-syncd')
const CLIENT = join(BUILD, 'athena-sync')
const DEADLINE_MS = 300_000 // only ends a failure
const WINDOW = 500 // changes on their way into one replica
const BREATH = 20 // changes between looks at what has arrived
const BURST = 300 // changes held back, to be given all at once just before something is killed

// What happens before a transaction: replicas by number; `kill` is SIGKILL and a new process on the
// same folder.
const PLAN = [
  { at: 2000, cut: [0] },
  { at: 4500, join: [0] },
  { at: 6000, kill: [1] },
  { at: 7000, cut: [1] },
  { at: 9000, join: [1] },
  { at: 11000, cut: [0, 1] },
  { at: 13500, join: [0, 1] },
  { at: 15000, kill: [0] },
  { at: 17000, killServer: true },
  { at: 18500, startServer: true },
  { at: 20000, kill: [0, 1] },
  { at: 22000, cut: [0], kill: [1] },
  { at: 23000, join: [0] },
  { at: 25000, cut: [1] },
]

let passed = 0
const failures = []
function expect(isSo, what) {
  if (isSo) passed++
  else failures.push(what)
}

const base64url = (bytes) => Buffer.from(bytes).toString('base64url')
const number = (value) => value.toLocaleString('en')
const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`

// ---- The session as Automerge changes ----

function loadTrace() {
  const missing = [SERVER, CLIENT].filter((path) => !existsSync(path))
  if (missing.length) {
    console.error(`missing: ${missing.join(', ')}; make all builds them`)
    process.exit(2)
  }
  if (existsSync(TRACE)) return { source: 'recorded', ...JSON.parse(gunzipSync(readFileSync(TRACE))) }
  console.error(`${TRACE} is not at hand`)
  return { source: 'made up', ...makeUpTrace(26_078) }
}

// One person: a document, and which transactions are in it.
class Author {
  constructor(index) {
    this.actor = `0${index + 1}`.repeat(16)
    this.doc = Automerge.init({ actor: this.actor })
    this.has = new Set()
  }

  // Takes over what a transaction stands on and this author has not got, oldest first.
  receive(parents, txns, changes) {
    const lacking = []
    for (const stack = [...parents]; stack.length; ) {
      const index = stack.pop()
      if (this.has.has(index)) continue
      this.has.add(index)
      lacking.push(index)
      stack.push(...txns[index].parents)
    }
    if (!lacking.length) return
    lacking.sort((a, b) => a - b)
    ;[this.doc] = Automerge.applyChanges(this.doc, lacking.map((index) => changes[index]))
  }

  edit(index, patches) {
    this.doc = Automerge.change(this.doc, { time: index }, (doc) => {
      if (index === 0) doc.text = ''
      for (const [at, deleted, inserted] of patches)
        Automerge.splice(doc, ['text'], at, deleted, inserted)
    })
    this.has.add(index)
    return Automerge.getLastLocalChange(this.doc)
  }
}

// One Automerge change for each transaction, its author having seen exactly what the trace says.
function* replay({ numAgents, txns }) {
  const authors = Array.from({ length: numAgents }, (_, index) => new Author(index))
  const changes = []
  for (const [index, { agent, parents, patches }] of txns.entries()) {
    const author = authors[agent]
    author.receive(parents, txns, changes)
    changes.push(author.edit(index, patches))
    yield { index, agent, actor: author.actor, bytes: changes[index] }
  }
}

// Two people who type at random places, each seeing what the other did up to 40 edits ago.
function makeUpTrace(count) {
  let state = 1
  const random = (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const authors = [new Author(0), new Author(1)]
  const txns = []
  const changes = []
  for (let index = 0; index < count; index++) {
    const agent = random(2)
    const author = authors[agent]
    const parents = index ? [...new Set([Math.max(0, index - 1 - random(40)), author.last ?? 0])] : []
    author.receive(parents, txns, changes)
    const length = author.doc.text?.length ?? 0
    const at = random(length + 1)
    const patch = random(5) || at === length ? [at, 0, String.fromCharCode(97 + random(26))] : [at, 1, '']
    txns.push({ agent, parents, patches: [patch] })
    changes.push(author.edit(index, [patch]))
    author.last = index
  }
  const [merged] = Automerge.applyChanges(Automerge.init(), changes)
  return { numAgents: 2, txns, endContent: merged.text }
}

// ---- Processes ----

// Those that run; none is left behind, however this script ends.
const running = new Set()
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')))

function start(program, ...args) {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  running.add(child)
  child.ended = once(child, 'exit').finally(() => running.delete(child))
  child.stdin.on('error', () => {}) // of a killed process, whose end is seen elsewhere
  return child
}

async function end(child, signal) {
  child.kill(signal)
  await child.ended
}

// The output of a command that ends by itself.
async function run(program, ...args) {
  const child = start(program, ...args)
  let output = ''
  child.stdin.end()
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text))
  const closed = once(child.stdout, 'close')
  const [code] = await child.ended
  await closed
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}`)
  return output.trim()
}

class Server {
  starts = 0

  constructor(folder) {
    this.folder = folder
    this.address = '127.0.0.1:0'
  }

  // The first line tells the URL; a second start takes the same port again.
  async start() {
    this.starts++
    this.child = start(SERVER, '--listen', this.address, '--data', this.folder, '--log-level', 'error')
    const [line] = await once(createInterface({ input: this.child.stdout }), 'line')
    this.url = line.match(/ws:\S+/)[0]
    this.address = new URL(this.url).host
  }

  kill = () => end(this.child, 'SIGKILL')
  stop = () => end(this.child, 'SIGTERM')
}

// One device: a folder, and the `athena-sync watch` that works on it.
class Replica {
  #held = null // changes held back for a burst
  #given = [] // changes written to the process that it has not confirmed
  #commanded = null // to be called when a command other than `add` is answered
  #waiting = [] // conditions, looked at whenever the process has said something
  ids = new Set() // of the changes that it holds
  own = 0 // how many of them were made here
  isConnected = false
  isInSync = false
  starts = 0
  connections = 0

  constructor(name, folder) {
    this.name = name
    this.folder = folder
  }

  start() {
    this.starts++
    this.isConnected = this.isInSync = false
    this.child = start(CLIENT, 'watch', this.folder)
    const lines = createInterface({ input: this.child.stdout })
    lines.on('line', (line) => this.#take(JSON.parse(line)))
  }

  #take(event) {
    if (event.event === 'answer') this.#answered(event)
    else if (event.event === 'change') this.ids.add(event.id)
    else if (event.event === 'connected') this.#connected()
    else if (event.event === 'disconnected') this.isConnected = this.isInSync = false
    else if (event.event === 'in-sync') this.isInSync = true
    else if (!['ready', 'pushed'].includes(event.event))
      failures.push(`${this.name}: ${JSON.stringify(event)}`), console.log('EVENT', performance.now(), this.name, JSON.stringify(event))
    for (const look of [...this.#waiting]) look()
  }

  // To an `add`, with the id of its change, or to another command.
  #answered({ ok, ids, ...rest }) {
    if (!ok) failures.push(`${this.name}: ${JSON.stringify(rest)}`)
    if (!ids) return this.#commanded?.()
    this.#given.shift()
    this.ids.add(ids[0])
    this.own++
  }

  #connected() {
    this.isConnected = true
    this.connections++
  }

  // Resolves when `isSo()` holds.
  until(isSo, what) {
    if (isSo()) return
    return new Promise((resolve, reject) => {
      const late = () => reject(new Error(`the ${this.name} replica never ${what()}`))
      const timer = setTimeout(late, DEADLINE_MS)
      const look = () => {
        if (!isSo()) return
        clearTimeout(timer)
        this.#waiting.splice(this.#waiting.indexOf(look), 1)
        resolve()
      }
      this.#waiting.push(look)
    })
  }

  #send(command) {
    this.child.stdin.write(JSON.stringify(command) + '\n')
  }

  #command(command) {
    this.#send(command)
    return new Promise((resolve) => (this.#commanded = resolve))
  }

  async add(change) {
    if (this.#held) return this.#held.push(change)
    await this.until(() => this.#given.length < WINDOW, () => 'confirmed a change')
    this.#give(change)
  }

  #give(change) {
    this.#given.push(change)
    this.isInSync = false
    this.#send({ cmd: 'add', actor: change.actor, data: base64url(change.bytes) })
  }

  holdBack() {
    this.#held ??= []
  }

  // Gives what was held back, all at once, and returns when the first of it is confirmed.
  async release() {
    const before = this.own
    const held = this.#held ?? []
    this.#held = null
    for (const change of held) this.#give(change)
    if (held.length) await this.until(() => this.own > before, () => 'confirmed a change')
  }

  async cut() {
    await this.#command({ cmd: 'disconnect' })
    this.isConnected = this.isInSync = false
    this.ownWhenCut = this.own
  }

  join() {
    return this.#command({ cmd: 'connect' })
  }

  // SIGKILL in the midst of its work, then a new process on the same folder. What was given and is
  // not in the folder is given again, as an application does that never saw it confirmed.
  async crash() {
    await this.release()
    await end(this.child, 'SIGKILL')
    const held = await this.read()
    expect([...this.ids].every((id) => held.has(id)), `${this.name} lost what it had confirmed`)
    const bytes = new Set([...held.values()].map(base64url))
    const unconfirmed = this.#given.splice(0)
    const lost = unconfirmed.filter((change) => !bytes.has(base64url(change.bytes)))
    for (const id of held.keys()) this.ids.add(id)
    this.own += unconfirmed.length - lost.length
    this.start()
    for (const change of lost) this.#give(change)
    return { unconfirmed: unconfirmed.length, lost: lost.length }
  }

  // Every change in the folder, decrypted, by id; while no other process works on it.
  async read() {
    const lines = (await run(CLIENT, 'watch', this.folder, '--offline')).split('\n')
    const changes = lines.filter(Boolean).map(JSON.parse).filter(({ event }) => event === 'change')
    return new Map(changes.map(({ id, data }) => [id, Buffer.from(data, 'base64url')]))
  }

  async stop() {
    this.child.stdin.end()
    await this.child.ended
  }
}

// ---- The run ----

const tell = (index, what) => console.log(`${number(index).padStart(8)}  ${what}`)

async function crash(index, replica) {
  const { unconfirmed, lost } = await replica.crash()
  tell(index, `the ${replica.name} replica is killed with ${unconfirmed} changes unconfirmed, ` +
    `${lost} of them lost and given again`)
}

async function cut(index, replica) {
  await replica.cut()
  tell(index, `the ${replica.name} replica is cut off`)
}

async function rejoin(index, replica) {
  const offline = replica.own - replica.ownWhenCut
  const lacking = index - replica.ids.size
  tell(index, `the ${replica.name} replica joins again, with ${number(offline)} changes made ` +
    `offline and ${number(lacking)} to get`)
  expect(offline > 0 && lacking > 0, `the ${replica.name} replica was not really cut off`)
  await replica.join()
}

async function killServer(index, server, replicas) {
  for (const replica of replicas) await replica.release()
  await server.kill()
  tell(index, 'the server is killed')
}

async function restartServer(index, server) {
  await server.start()
  tell(index, 'the server starts again on its store')
}

async function interrupt(index, server, replicas) {
  for (const step of PLAN.filter(({ at }) => at === index)) {
    if (step.killServer) await killServer(index, server, replicas)
    if (step.startServer) await restartServer(index, server)
    for (const at of step.cut ?? []) await cut(index, replicas[at])
    for (const at of step.kill ?? []) await crash(index, replicas[at])
    for (const at of step.join ?? []) await rejoin(index, replicas[at])
  }
  for (const step of PLAN.filter(({ at }) => at === index + BURST)) {
    const held = step.killServer ? replicas : (step.kill ?? []).map((at) => replicas[at])
    for (const replica of held) replica.holdBack()
  }
}

async function push(trace, server, replicas) {
  for (const change of replay(trace)) {
    await interrupt(change.index, server, replicas)
    await replicas[change.agent].add(change)
    if (change.index % BREATH === 0) await setImmediate()
  }
}

async function settle(replicas, count) {
  for (const replica of replicas)
    await replica.until(() => replica.ids.size >= count && replica.isInSync,
      () => `came in sync with ${count} changes; it has ${replica.ids.size}`)
}

// Automerge has to make the session's very text from what a replica holds, and from nothing else.
async function judge(replica, { txns, endContent }) {
  await replica.stop()
  const held = [...(await replica.read()).values()]
  const [doc] = Automerge.applyChanges(Automerge.init(), held)
  const name = `the ${replica.name} replica`
  expect(held.length === txns.length, `${name} holds ${held.length} changes, not ${txns.length}`)
  expect(new Set(held.map(base64url)).size === txns.length, `${name} holds a change twice`)
  expect(Automerge.getAllChanges(doc).length === txns.length, `${name}: Automerge lacks changes`)
  expect(doc.text === endContent, `${name}: the text is not the session's`)
}

const sizeOf = (folder) =>
  readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)

function summarise(server, replicas) {
  for (const replica of replicas)
    console.log(`${replica.name}: ${number(replica.ids.size)} changes, ${number(replica.own)} of them ` +
      `its own; ${replica.starts} processes, ${replica.connections} connections; ` +
      `${number(sizeOf(replica.folder))} bytes on disk`)
  console.log(`server: ${server.starts} processes; ${number(sizeOf(server.folder))} bytes on disk`)
}

async function main() {
  const trace = loadTrace()
  console.log(`${number(trace.txns.length)} transactions of ${trace.numAgents} authors, ${trace.source}`)
  const folder = mkdtempSync(join(tmpdir(), 'athena-trace-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const server = new Server(join(folder, 'server'))
  const replicas = ['first', 'second', 'third'].map((name) => new Replica(name, join(folder, name)))
  const [first, second, third] = replicas
  await server.start()
  await run(CLIENT, 'init', first.folder, '--url', server.url)
  const key = await run(CLIENT, 'key', first.folder)
  await run(CLIENT, 'init', second.folder, '--url', server.url, '--key', key)

  const begin = performance.now()
  first.start()
  second.start()
  await push(trace, server, [first, second])
  await rejoin(trace.txns.length, second)
  const pushed = performance.now()
  await settle([first, second], trace.txns.length)
  console.log(`made and pushed in ${seconds(begin)}, of which ${seconds(pushed)} after the last edit`)

  const joined = performance.now()
  await run(CLIENT, 'init', third.folder, '--url', server.url, '--key', key)
  third.start()
  await settle([third], trace.txns.length)
  console.log(`the third replica has everything in ${seconds(joined)}`)

  for (const replica of replicas) await judge(replica, trace)
  await server.stop()
  await run(SERVER, 'check', '--data', server.folder)
  summarise(server, replicas)
  for (const failure of failures) console.error(`FAIL ${failure}`)
  console.log(`${passed} passed, ${failures.length} failed`)
  process.exitCode = failures.length ? 1 : 0
}

await main()

// One device of a cell: a folder, and the `watch` process that works on it and is driven by JSON lines.
import { eachLine, end, run, start } from './processes.mjs'

const DEADLINE_MS = 300_000 // only ends a failure
const WINDOW = 500 // changes on their way into one replica

export const base64url = (bytes) => Buffer.from(bytes).toString('base64url')

export class Replica {
  #client
  #fail
  #held = null // changes held back for a burst
  #given = [] // changes written to the process that it has not confirmed
  #commanded = null // to be called when a command other than `add` is answered
  #ownWhenCut = 0
  #waiting = [] // conditions, looked at whenever the process has said something
  ids = new Set() // of the changes that it holds
  own = 0 // how many of them were made here
  isConnected = false
  isInSync = false
  starts = 0
  connections = 0

  /** `client` is a command of CLIENTS; `fail(what)` is told what must not happen. */
  constructor(name, client, folder, fail) {
    this.name = name
    this.#client = client
    this.folder = folder
    this.#fail = (what) => fail(`the ${name} replica ${what}`)
  }

  init(...options) {
    return run(this.#client, 'init', this.folder, ...options)
  }

  key() {
    return run(this.#client, 'key', this.folder)
  }

  start() {
    this.starts++
    this.isConnected = this.isInSync = false
    this.child = start(this.#client, 'watch', this.folder)
    eachLine(this.child.stdout, (line) => this.#take(JSON.parse(line)))
  }

  #take(event) {
    if (event.event === 'answer') this.#answered(event)
    else if (event.event === 'change') this.ids.add(event.id)
    else if (event.event === 'connected') this.#connected()
    else if (event.event === 'disconnected') this.isConnected = this.isInSync = false
    else if (event.event === 'in-sync') this.isInSync = true
    else if (!['ready', 'pushed'].includes(event.event)) this.#fail(`said ${JSON.stringify(event)}`)
    for (const look of [...this.#waiting]) look()
  }

  // To an `add`, with the id of its change, or to another command.
  #answered({ ok, ids, ...rest }) {
    if (!ok) this.#fail(`answered ${JSON.stringify(rest)}`)
    if (!ids) return this.#commanded?.()
    this.#given.shift()
    this.ids.add(ids[0])
    this.own++
  }

  #connected() {
    this.isConnected = true
    this.connections++
  }

  /** Resolves when `isSo()` holds. */
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
    this.child.stdin.write(`${JSON.stringify(command)}\n`)
  }

  #command(command) {
    this.#send(command)
    return new Promise((resolve) => { this.#commanded = resolve })
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

  /** Gives what was held back, all at once, and returns when the first of it is confirmed. */
  async release() {
    const before = this.own
    const held = this.#held ?? []
    this.#held = null
    for (const change of held) this.#give(change)
    if (held.length > 0) await this.until(() => this.own > before, () => 'confirmed a change')
  }

  async cut() {
    await this.#command({ cmd: 'disconnect' }) // answered after all that was given before
    this.isConnected = this.isInSync = false
    this.#ownWhenCut = this.own
  }

  /** Changes given since it was cut off, confirmed or not yet. */
  get madeOffline() {
    return this.own - this.#ownWhenCut + this.#given.length
  }

  join() {
    return this.#command({ cmd: 'connect' })
  }

  /**
   * SIGKILL in the midst of its work, then a new process on the same folder. What was given and is
   * not in the folder is given again, as an application does that never saw it confirmed.
   */
  async crash() {
    await this.release()
    await end(this.child, 'SIGKILL')
    const held = await this.read()
    if ([...this.ids].some((id) => !held.has(id))) this.#fail('lost what it had confirmed')
    const bytes = new Set([...held.values()].map(base64url))
    const unconfirmed = this.#given.splice(0)
    const lost = unconfirmed.filter((change) => !bytes.has(base64url(change.bytes)))
    for (const id of held.keys()) this.ids.add(id)
    this.own += unconfirmed.length - lost.length
    this.start()
    for (const change of lost) this.#give(change)
    return { unconfirmed: unconfirmed.length, lost: lost.length }
  }

  /** Every change in the folder, decrypted, by id; while no other process works on it. */
  async read() {
    const lines = (await run(this.#client, 'watch', this.folder, '--offline')).split('\n')
    const changes = lines.filter(Boolean).map((line) => JSON.parse(line)).filter(({ event }) => event === 'change')
    return new Map(changes.map(({ id, data }) => [id, Buffer.from(data, 'base64url')]))
  }

  settled(count) {
    const what = () => `came in sync with ${count} changes; it has ${this.ids.size}`
    return this.until(() => this.ids.size >= count && this.isInSync, what)
  }

  async stop() {
    this.child.stdin.end()
    const [code] = await this.child.ended
    if (code !== 0) this.#fail(`ended with ${code}`)
  }
}

// Drives a replica by JSON lines, as spec/driver.md says: commands come in, answers and events go out.
import { decode, encode } from './lib/base64url.mjs'


class Unsupported extends Error {
  code = 'unsupported'
}

export class Driver {
  #print
  #replica
  #early = [] // events from before `ready`
  #earlier = Promise.resolve() // resolves when all commands before are answered, `sync` aside
  #barrier = Promise.resolve() // the same of those that an `add` comes after: adds go side by side

  /** `print(object)` writes one line. */
  constructor(print) {
    this.#print = print
  }

  /** What the replica tells, as its `onEvent`. Who adds a change, or disconnects, knows it. */
  event(event) {
    const isKnown = (event.event === 'change' && event.own && this.#replica) || event.retry_ms === null
    if (isKnown) return
    const line = event.event === 'change' ? { ...event, data: encode(event.data) } : event
    if (this.#replica) this.#print(line)
    else this.#early.push(line)
  }

  ready(replica) {
    this.#replica = replica
    this.#early.splice(0).forEach(this.#print)
    this.#print({ event: 'ready', doc: replica.doc })
  }

  /** Takes one line; resolves when it is answered, with whether that was `stop`. */
  async take(line) {
    const command = parse(line)
    const start = command.cmd === 'add' ? this.#barrier : this.#earlier
    const done = start.then(() => this.#do(command))
    done.catch(() => {}) // is looked at when it is answered
    const turn = command.cmd === 'sync' ? null : this.#earlier
    const answered = Promise.resolve(turn).then(() => this.#answer(command.id, done))
    if (turn) this.#earlier = answered
    if (command.cmd !== 'add') this.#barrier = this.#earlier
    await answered
    return command.cmd === 'stop'
  }

  /** Ends as `stop` does, without an answer. */
  async end() {
    await this.#earlier
    await this.#replica.stop()
  }

  async #answer(id, done) {
    try {
      this.#print({ event: 'answer', id, ok: true, ...await done })
    } catch (error) {
      const code = error instanceof TypeError ? 'bad-command' : error.code ?? error.name
      this.#print({ event: 'answer', id, ok: false, code, message: error.message })
    }
  }

  #do(command) {
    if (command.fault) throw new TypeError(command.fault)
    if (!Object.hasOwn(COMMANDS, command.cmd)) throw new Unsupported(`there is no command ${JSON.stringify(command.cmd)}`)
    return COMMANDS[command.cmd](this.#replica, command, (change) => this.#print({ event: 'change', ...change }))
  }
}

function parse(line) {
  try {
    const command = JSON.parse(line)
    const isObject = command !== null && typeof command === 'object' && !Array.isArray(command)
    return isObject ? command : { fault: 'the line is no JSON object' }
  } catch {
    return { fault: 'the line is not JSON' }
  }
}

const COMMANDS = {
  async add(replica, { actor, data, changes = [{ actor, data }] }) {
    if (!Array.isArray(changes)) throw new TypeError('`changes` is no array')
    const ids = await replica.add(changes.map(toAdd))
    return { ids, ...(ids.length > 0 && { number: replica.change(ids.at(-1)).number }) }
  },
  connect: (replica, { url }) => replica.connect(url),
  disconnect: (replica) => replica.disconnect(),
  retry: (replica) => replica.retry(),
  state: (replica) => replica.state(),
  sync: (replica) => replica.synced(),
  replay(replica, { after = 0 }, tell) {
    for (const { number, id, actor, data, own } of replica.changes()) {
      if (number > after) tell({ number, id, actor, data: encode(data), own })
    }
  },
  stop: (replica) => replica.stop()
}

function toAdd(change) {
  const data = typeof change?.data === 'string' ? decode(change.data) : null
  if (data === null) throw new TypeError('`data` is not canonical base64url')
  if (typeof change.actor !== 'string') throw new TypeError('`actor` is no string')
  return { actor: change.actor, data }
}

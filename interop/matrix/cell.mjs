// One cell of the matrix: the session's two authors, each on a replica of its own, sync through one
// server while connections are cut and clients and the server are killed; a third replica joins by
// key at the end. Each must then hold exactly these changes, and Automerge make the text from them.
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import * as Automerge from '@automerge/automerge'
import { Server } from './processes.mjs'
import { base64url, Replica } from './replica.mjs'

const BREATH = 20 // changes between looks at what has arrived
const BURST = 300 // changes held back, to be given all at once just before something is killed

// What happens before a change of the session: replicas by number; `kill` is SIGKILL and a new
// process on the same folder.
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

const number = (value) => value.toLocaleString('en')

export class Cell {
  #session
  #tell
  #server
  #authors
  #third
  failures = []

  /** `clients` are those of the two authors and of the replica that joins; `tell(line)` gets what happens. */
  constructor({ session, server, clients, folder, tell }) {
    this.#session = session
    this.#tell = (index, what) => tell(`${number(index).padStart(8)}  ${what}`)
    this.#server = new Server(server, join(folder, 'server'))
    const fail = (what) => this.failures.push(what)
    const replicas = ['first', 'second', 'third'].map((name, i) => new Replica(name, clients[i], join(folder, name), fail))
    this.#authors = replicas.slice(0, 2)
    this.#third = replicas[2]
  }

  /** Runs it to its end; what was not as it should be is in `failures`. */
  async run() {
    const { changes } = this.#session
    await this.#begin()
    for (const [index, change] of changes.entries()) {
      await this.#interrupt(index)
      await this.#authors[change.author].add(change)
      if (index % BREATH === 0) await setImmediate()
    }
    await this.#rejoin(changes.length, this.#authors[1])
    for (const replica of this.#authors) await replica.settled(changes.length)
    await this.#joinThird()
    for (const replica of [...this.#authors, this.#third]) await this.#judge(replica)
    await this.#server.stop()
  }

  async #begin() {
    const [first, second] = this.#authors
    await this.#server.start()
    await first.init('--url', this.#server.url)
    this.key = await first.key()
    await second.init('--url', this.#server.url, '--key', this.key)
    for (const replica of this.#authors) replica.start()
  }

  async #joinThird() {
    await this.#third.init('--url', this.#server.url, '--key', this.key)
    this.#third.start()
    await this.#third.settled(this.#session.changes.length)
  }

  async #interrupt(index) {
    for (const step of PLAN.filter(({ at }) => at === index)) await this.#step(index, step)
    for (const step of PLAN.filter(({ at }) => at === index + BURST)) {
      const held = step.killServer ? this.#authors : this.#at(step.kill)
      for (const replica of held) replica.holdBack()
    }
  }

  #at(numbers = []) {
    return numbers.map((i) => this.#authors[i])
  }

  async #step(index, step) {
    if (step.killServer) await this.#killServer(index)
    if (step.startServer) await this.#startServer(index)
    for (const replica of this.#at(step.cut)) await this.#cut(index, replica)
    for (const replica of this.#at(step.kill)) await this.#kill(index, replica)
    for (const replica of this.#at(step.join)) await this.#rejoin(index, replica)
  }

  async #killServer(index) {
    for (const replica of this.#authors) await replica.release()
    await this.#server.kill()
    this.#tell(index, 'the server is killed')
  }

  async #startServer(index) {
    await this.#server.start()
    this.#tell(index, 'the server starts again on its store')
  }

  async #cut(index, replica) {
    await replica.cut()
    this.#tell(index, `the ${replica.name} replica is cut off`)
  }

  async #kill(index, replica) {
    const { unconfirmed, lost } = await replica.crash()
    this.#tell(index, `the ${replica.name} replica is killed with ${unconfirmed} changes unconfirmed, ${lost} of them lost and given again`)
  }

  async #rejoin(index, replica) {
    const offline = replica.madeOffline
    const lacking = index - replica.ids.size
    this.#tell(index, `the ${replica.name} replica joins again, with ${number(offline)} changes made offline and ${number(lacking)} to get`)
    this.#expect(offline > 0 && lacking > 0, `the ${replica.name} replica was not really cut off`)
    await replica.join()
  }

  // Automerge has to make the session's very text from what a replica holds, and from nothing else.
  async #judge(replica) {
    await replica.stop()
    const { changes, text } = this.#session
    const held = [...(await replica.read()).values()]
    const [doc] = Automerge.applyChanges(Automerge.init(), held)
    const name = `the ${replica.name} replica`
    this.#expect(held.length === changes.length, `${name} holds ${held.length} changes, not ${changes.length}`)
    this.#expect(new Set(held.map(base64url)).size === changes.length, `${name} holds a change twice`)
    this.#expect(Automerge.getAllChanges(doc).length === changes.length, `${name}: Automerge lacks changes`)
    this.#expect(doc.text === text, `${name}: the text is not the session's`)
    const { own, starts, connections } = replica
    this.#tell(changes.length, `${name} has it all; ${number(own)} changes are its own; ${starts} processes, ${connections} connections`)
  }

  #expect(isSo, what) {
    if (!isSo) this.failures.push(what)
  }
}

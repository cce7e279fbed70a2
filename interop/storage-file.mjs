// A replica's records in a folder, for Node: an append-only log, one process at a time. Appends that
// arrive while one is being written are written together, with one fsync.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { lockFolder } from './node/lock.mjs'
import { LogFile } from './node/logfile.mjs'

export class FileStorage {
  #records = []
  #file
  #unlock
  #waiting = []
  #writing = null
  #broken = null // why nothing can be written any more

  constructor(folder) {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    this.#unlock = lockFolder(folder)
    try {
      this.#file = new LogFile(join(folder, 'replica.log'), (payload) => this.#replay(JSON.parse(payload)))
    } catch (error) {
      this.#unlock()
      throw error
    }
  }

  /** How many bytes at the end of the file were no whole record, and are gone. */
  get droppedBytes() {
    return this.#file.dropped
  }

  load() {
    return this.#records.splice(0)
  }

  append(records) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ records, resolve, reject })
      this.#writing ??= this.#work()
    })
  }

  async close() {
    await this.#writing
    this.#file.close()
    this.#unlock()
  }

  // One by one: as many records as one `add` may bring are too many for the arguments of a call.
  #replay(records) {
    for (const record of records) this.#records.push(record)
  }

  async #work() {
    await null // let the appends of this turn come together
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0)
      try {
        if (this.#broken) throw this.#broken
        await this.#file.append(Buffer.from(JSON.stringify(group.flatMap(({ records }) => records))))
        for (const { resolve } of group) resolve()
      } catch (error) {
        this.#recover()
        for (const { reject } of group) reject(error)
      }
    }
    this.#writing = null
  }

  #recover() {
    try {
      this.#file.cut()
    } catch (error) {
      this.#broken = error
    }
  }
}

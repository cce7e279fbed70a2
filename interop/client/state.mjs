// What a replica holds, in memory: a fold over records that a storage keeps. A record is a plain
// object (so that any storage can keep it as JSON), one of
//
//   { change: { id, data, item, own } }                   a change in readable form
//   { quarantine: { id, data, item, code, message } }     an envelope that cannot be used
//   { server, known: [[id, item]...], cursor, replace }   evidence of what a server holds
//   { server, refused: { id, code, size, limit } }        what a server will not take
//   { server, conflict: { id, item } }                    other bytes that a server has
//
// with bytes as base64url, `item` an item hash, `server` an authority.
import { add, digestText, subtract } from '../lib/digest.mjs'
import { actorOf } from '../lib/ids.mjs'
import { decode } from '../lib/base64url.mjs'

/** `code` of a quarantined change that opens, and that Automerge refuses. */
export const NOT_A_CHANGE = 'not-a-change'

/** What one server is known to hold and to refuse. */
class ServerState {
  known = new Map() // id to item hash of the server's bytes
  sum = 0n
  cursor = null
  refused = new Map() // ids of changes that it will not take, as long as it does not show them
  conflicts = new Map()
  outbox = new Set() // ids of changes that are not in `known`
  notBefore = 0 // when it may be dialled again; like the next, not kept over restarts
  heldBack = [] // { ids, until }: changes that may not be pushed again before that time

  enter(id, item) {
    const before = this.known.get(id)
    if (before) this.sum = subtract(this.sum, before)
    this.sum = add(this.sum, item)
    this.known.set(id, item)
    this.outbox.delete(id)
    this.refused.delete(id)
  }

  clear(ids) {
    this.known = new Map()
    this.sum = 0n
    this.outbox = new Set(ids)
  }

  /** Whether count and digest are those of an `opened` (ASP-DIG-3). */
  matches({ count, digest }) {
    return this.known.size === count && digestText(this.sum) === digest
  }
}

export class State {
  changes = new Map() // id to { number, id, actor, data, item, own }
  quarantine = new Map()
  #servers = new Map()
  #sum = 0n

  get digest() {
    return digestText(this.#sum)
  }

  server(name) {
    if (!this.#servers.has(name)) {
      const server = new ServerState()
      server.clear(this.changes.keys())
      this.#servers.set(name, server)
    }
    return this.#servers.get(name)
  }

  /** The change of this id, be it one that Automerge refuses: what could be opened is kept (ASP-CLI-26). */
  held(id) {
    const refused = this.quarantine.get(id)
    return this.changes.get(id) ?? (refused?.code === NOT_A_CHANGE ? refused : undefined)
  }

  /** The item hash of the bytes held under an id, those in quarantine included. */
  itemOf(id) {
    return (this.changes.get(id) ?? this.quarantine.get(id))?.item
  }

  apply(record) {
    if (record.change) this.#change(record.change)
    if (record.quarantine) this.#quarantine(record.quarantine)
    if (record.server === undefined) return
    const server = this.server(record.server)
    if (record.replace) server.clear(this.changes.keys())
    for (const [id, item] of record.known ?? []) server.enter(id, decode(item))
    if (record.cursor !== undefined) server.cursor = record.cursor
    if (record.refused) server.refused.set(record.refused.id, record.refused)
    if (record.conflict) server.conflicts.set(record.conflict.id, record.conflict.item)
  }

  #change({ id, data, item, own }) {
    if (this.changes.has(id)) return
    const change = { number: this.changes.size + 1, id, actor: actorOf(id), data: decode(data), item: decode(item), own }
    this.changes.set(id, change)
    this.quarantine.delete(id)
    this.#sum = add(this.#sum, change.item)
    for (const server of this.#servers.values()) if (!server.known.has(id)) server.outbox.add(id)
  }

  #quarantine(entry) {
    this.quarantine.set(entry.id, { ...entry, item: decode(entry.item) })
  }
}

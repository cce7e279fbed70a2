// One function for each request of section 10, called when steps 1 to 6 of section 9.3 have passed.
// `reply` sends a message with the request's `req` and `doc`; a Refusal becomes an `error`.
import { Refusal } from './refusal.mjs'
import { verify } from './verify.mjs'
import { changeSize, decodeEntry, encodeChange, SPARE } from '../lib/messages.mjs'
import { isCursor } from '../lib/ids.mjs'
import { decode } from '../lib/base64url.mjs'

function opened(session, doc) {
  const subscription = session.documents.get(doc)
  if (!subscription) throw new Refusal('not-open', 'the document is not open on this connection')
  return subscription
}

function withinBatch(session, entries) {
  const { batch } = session.limits
  if (entries.length > batch) throw new Refusal('limit', `more than ${batch} entries`)
}

function open(session, { doc, authority, proof }, reply) {
  if (session.documents.has(doc)) throw new Refusal('already-open', 'the document is open on this connection')
  if (session.documents.size >= session.limits.docs) throw new Refusal('limit', `${session.limits.docs} documents are open already`)
  if (!session.server.authorities.has(authority)) throw new Refusal('wrong-authority', 'the authority is not a name of this server')
  if (!verify(proof, session.challenge, decode(doc), authority)) throw new Refusal('forbidden', 'the proof does not verify')
  session.subscribe(doc)
  const log = session.store.log(doc)
  reply({ type: 'opened', count: log.length, digest: log.digest, cursor: log.cursor(log.length) })
}

function list(session, { doc, after, limit, data }, reply) {
  const { opened: last } = opened(session, doc)
  const log = session.store.log(doc)
  const start = after === undefined ? 0 : isCursor(after) ? log.position(after) : null
  if (start === null) throw new Refusal('unknown-cursor', 'the log has no such cursor')
  const most = Math.min(limit ?? Infinity, session.limits.batch)
  const { end, ...page } = data ? session.collect(log, start, last, undefined, most) : idPage(session, log, start, last, most)
  const at = Math.min(Math.max(start, end), last)
  reply({ type: 'listed', ...page, cursor: log.cursor(at), more: at < last })
}

function idPage(session, log, start, last, most) {
  const ids = []
  let room = session.limits.message - SPARE
  let end = start
  for (; end < last && ids.length < most; end++) {
    room -= log.entries[end].id.length + 3
    if (room < 0 && ids.length > 0) break
    ids.push(log.entries[end].id)
  }
  return { ids, end }
}

function get(session, { doc, ids }, reply) {
  opened(session, doc)
  withinBatch(session, ids)
  const log = session.store.log(doc)
  const [changes, missing] = [[], []]
  let room = session.limits.message - SPARE
  for (const id of ids) {
    const entry = log.find(id)
    room -= entry ? changeSize(id, entry.size) : id.length + 3
    if (room < 0 && changes.length + missing.length > 0) break
    if (entry) changes.push(encodeChange({ id, data: session.store.read(entry) }))
    else missing.push(id)
  }
  reply({ type: 'got', changes, missing })
}

async function push(session, { doc, changes }, reply) {
  opened(session, doc)
  withinBatch(session, changes)
  const job = { doc, entries: changes.map(decodeEntry), limit: session.limits.change, origin: session.number }
  const { failed } = await new Promise((resolve) => {
    session.store.push(job, (outcome) => {
      const { duplicates, rejected } = outcome
      if (!outcome.failed) reply({ type: 'pushed', duplicates, rejected })
      resolve(outcome)
    })
  })
  if (failed) throw new Refusal('unavailable', 'the changes could not be stored now')
}

function close(session, { doc }, reply) {
  opened(session, doc)
  session.unsubscribe(doc)
  reply({ type: 'closed' })
}

export const requests = { open, list, get, push, close }

// A server whose every text is made to break out of the report it ends up in: markup, quotes, characters
// that turn the direction of text, a megabyte at once. For browse-report.mjs.
//
//   hostile-server.mjs PORT FILE    the file counts these processes
import { randomBytes } from 'node:crypto'
import { appendFileSync, statSync } from 'node:fs'
import { serveWebSocket } from '../fixtures/lib/websocket.mjs'

const [port, file] = process.argv.slice(2)
const TEXT = 1
const CLOSE = 8
const EVIL = '"\u202e\'</script><img src=x onerror="hurt=1"></style></pre></details><script>hurt=1</script> &amp; \u2066 \u2028 \ufeff'
const LONG = EVIL.repeat(8000)
const limits = { message: 4194304, message_before_open: 16384, change: 1114112, batch: 1000, docs: 64 }
const many = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`${EVIL}${i}`, EVIL]))

// What may come of a request; what is no object is sent as it is.
const answers = [
  (to) => ({ type: 'error', ...to, code: 'forbidden', message: LONG }),
  (to) => ({ type: 'error', ...to, code: EVIL, message: EVIL }),
  (to) => ({ type: 'opened', ...to, count: 0, digest: 'A'.repeat(43), cursor: EVIL }),
  (to) => ({ type: 'listed', ...to, ids: EVIL, cursor: [[[LONG]]] }),
  (to) => ({ type: EVIL, ...to }),
  (to) => ({ type: 'closed', ...to, [LONG]: EVIL }),
  (to) => ({ type: 'closed', ...to, ...many }),
  () => EVIL,
  () => null
]

// The first process is asked whether anybody is there, and answers: nothing is tested otherwise. Each of the
// others is hostile in a way of its own.
const turn = statSync(file, { throwIfNoEntry: false })?.size ?? 0
appendFileSync(file, '.')
const honest = {
  open: { type: 'opened', count: 0, digest: 'A'.repeat(43), cursor: 'none' },
  push: { type: 'error', code: 'unavailable', message: EVIL },
  list: { type: 'listed', ids: [], cursor: 'none', more: false }
}

console.log(EVIL)
console.error(LONG)
serveWebSocket(Number(port), (send) => {
  const challenge = randomBytes(32).toString('base64url')
  const say = (message) => send(TEXT, typeof message === 'string' ? message : JSON.stringify(message))
  say({ type: 'welcome', protocol: 'athena-sync.v1', server: EVIL.slice(0, 120), challenge, limits, extensions: [], [EVIL]: EVIL })
  return (opcode, text) => {
    const { type, req, doc } = JSON.parse(text)
    const answer = turn === 0 ? { ...honest[type], req, doc } : answers[turn % answers.length]({ req, doc })
    if (answer !== null) say(answer)
    else send(CLOSE, Buffer.concat([Buffer.from([4000 >> 8, 4000 & 255]), Buffer.from(EVIL).subarray(0, 95)]))
  }
})

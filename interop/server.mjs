#!/usr/bin/env node
// The server as a program: options, the first line, and the signals.
import { readFileSync } from 'node:fs'
import { isAuthority } from './lib/authority.mjs'
import { lossOf } from './node/logfile.mjs'
import { parseOptions } from './node/options.mjs'
import { DEFAULTS, isLoopback, startServer } from './server/server.mjs'

const USAGE = `usage: server.mjs --data FOLDER [--port N] [--host ADDRESS] [--token-file FILE]
                  [--name AUTHORITY]... [--quota BYTES] [--public]
                  [--open-within MS] [--idle MS] [--dead MS] [--limit-change BYTES]

  --data FOLDER      where changes are kept
  --port N           0, the default, lets the system choose
  --host ADDRESS     127.0.0.1 by default; another needs --token-file or --public
  --token-file FILE  its first line is the token that clients have to give
  --name AUTHORITY   a name that clients dial; the loopback names with the port otherwise
  --quota BYTES      of envelopes that one document may have; 0 for any number; 4 GiB by default
  --open-within MS   in which a client has to open a document; 10000 by default
  --idle MS          without progress, after which it is pinged; 30000 by default
  --dead MS          without progress, after which its connection ends; 90000 by default
  --limit-change BYTES
                     of one envelope; 1114112 by default
  --public           anyone may connect and store
  --help             prints this`

// undefined when only help is wanted.
function options() {
  const { values } = parseOptions({
    options: {
      help: { type: 'boolean' },
      data: { type: 'string' },
      port: { type: 'string', default: '0' },
      host: { type: 'string', default: '127.0.0.1' },
      'token-file': { type: 'string' },
      name: { type: 'string', multiple: true, default: [] },
      quota: { type: 'string' },
      'open-within': { type: 'string', default: '10000' },
      idle: { type: 'string', default: '30000' },
      dead: { type: 'string', default: '90000' },
      'limit-change': { type: 'string' },
      public: { type: 'boolean', default: false }
    }
  })
  if (values.help) return undefined
  if (values.data === undefined) throw new Error('--data is missing')
  const port = wholeNumber(values, 'port', 65535)
  const wrong = values.name.find((name) => !isAuthority(name))
  if (wrong !== undefined) throw new Error(`--name ${wrong}: not an authority as URLs have it, such as sync.example.org or [::1]:8080`)
  const isOpen = values['token-file'] !== undefined || values.public
  if (!isLoopback(values.host) && !isOpen) throw new Error(`--host ${values.host} needs --token-file, or --public`)
  const token = values['token-file'] === undefined ? null : readToken(values['token-file'])
  return { data: values.data, host: values.host, port, token, names: values.name, isPublic: values.public, ...quota(values), ...limits(values), ...times(values) }
}

function wholeNumber(values, name, most) {
  const value = Number(values[name])
  if (!/^\d+$/.test(values[name]) || value > most) throw new Error(`--${name} ${values[name]}: not a whole number up to ${most}`)
  return value
}

function quota(values) {
  return values.quota === undefined ? {} : { maxDocumentBytes: wholeNumber(values, 'quota', Number.MAX_SAFE_INTEGER) || Infinity }
}

// A change has to fit a message, in base64url.
function limits(values) {
  if (values['limit-change'] === undefined) return {}
  const change = wholeNumber(values, 'limit-change', 64 * 1024 * 1024)
  if (change < 1024) throw new Error(`--limit-change ${change}: at least 1024`)
  return { limits: { ...DEFAULTS.limits, change, message: Math.max(DEFAULTS.limits.message, 2 * change) } }
}

function times(values) {
  const [openMs, idleMs, deadMs] = ['open-within', 'idle', 'dead'].map((name) => wholeNumber(values, name, 86400000))
  if (idleMs === 0 || deadMs <= idleMs) throw new Error(`--dead ${deadMs}: has to be above --idle, and that above 0`)
  return { openMs, idleMs, deadMs }
}

function readToken(file) {
  const token = readFileSync(file, 'utf8').split(/\r?\n/)[0]
  if (!/^[A-Za-z0-9._~+/=-]{1,512}$/.test(token)) throw new Error(`${file}: the first line is not a token`)
  return token
}

async function main() {
  let wanted
  try {
    wanted = options()
  } catch (error) {
    console.error(`${error.message}\n\n${USAGE}`)
    process.exit(2)
  }
  if (wanted === undefined) return console.log(USAGE)
  let starting
  const stop = () => starting.then((server) => server.stop()).then(() => process.exit(0), fail)
  process.on('SIGTERM', stop) // before it listens: whoever sees that it does may stop it
  process.on('SIGINT', stop)
  starting = startServer(wanted)
  const server = await starting
  if (server.store.droppedBytes > 0) console.error(lossOf(server.store.droppedBytes))
  console.log(`listening on ${server.url}`)
}

function fail(error) {
  console.error(error.message)
  process.exit(1)
}

main().catch(fail)

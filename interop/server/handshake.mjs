// The HTTP part of a connection (sections 7.1 and 7.2).
import { createHash, timingSafeEqual } from 'node:crypto'
import { PROTOCOL } from '../lib/messages.mjs'
import { utf8 } from '../lib/bytes.mjs'
import * as base64url from '../lib/base64url.mjs'

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const TOKEN_PREFIX = 'athena-token.'

/** Why a request is not accepted, as { status, headers }; or null. */
export function refusal({ method, headers }, token) {
  const offered = protocols(headers)
  if (method !== 'GET' || headers.upgrade?.toLowerCase() !== 'websocket') return { status: 426, headers: ['Upgrade: websocket'] }
  if (headers['sec-websocket-version'] !== '13') return { status: 426, headers: ['Sec-WebSocket-Version: 13'] }
  if (!/^[A-Za-z0-9+/]{22}==$/.test(headers['sec-websocket-key'] ?? '')) return { status: 400, headers: [] }
  if (!offered.includes(PROTOCOL)) return { status: 400, headers: [] }
  if (token !== null && !admits(token, headers.authorization, offered)) return { status: 401, headers: ['WWW-Authenticate: Bearer'] }
  return null
}

// Node joins header lines of this name with commas.
const protocols = (headers) => (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim())

function admits(token, authorization, offered) {
  const given = authorization === undefined ? fromProtocols(offered) : /^bearer +([^ ]+) *$/i.exec(authorization)?.[1]
  return given !== undefined && timingSafeEqual(sha256(given), sha256(token))
}

function fromProtocols(offered) {
  const name = offered.find((one) => one.startsWith(TOKEN_PREFIX))
  const bytes = name === undefined ? null : base64url.decode(name.slice(TOKEN_PREFIX.length))
  return bytes === null ? undefined : Buffer.from(bytes).toString('latin1')
}

const sha256 = (text) => createHash('sha256').update(utf8(text)).digest()

export function accepted({ headers }) {
  const accept = createHash('sha1').update(headers['sec-websocket-key'] + GUID).digest('base64')
  return response('101 Switching Protocols', [
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${accept}`,
    `Sec-WebSocket-Protocol: ${PROTOCOL}`
  ])
}

const REASONS = { 400: 'Bad Request', 401: 'Unauthorized', 426: 'Upgrade Required', 503: 'Service Unavailable' }

export function refused({ status, headers }) {
  return response(`${status} ${REASONS[status]}`, ['Connection: close', 'Content-Length: 0', ...headers])
}

const response = (status, headers) => [`HTTP/1.1 ${status}`, ...headers, '', ''].join('\r\n')

// WebSocket frames (RFC 6455), the server's half. A reader of its own rather than a library, because
// the limit on a message changes when a document is opened or closed, a message too large must be
// noticed from its header, and bytes are taken from the socket only when there is room for replies.

const TEXT = 1
const BINARY = 2
const CLOSE = 8
const PING = 9
const PONG = 10
const HEADER = { short: 2, medium: 4, long: 10 }
const MASK = 4

/** One frame to the client: never masked, never fragmented. */
export function frame(opcode, payload) {
  const length = payload.length
  const size = length < 126 ? HEADER.short : length < 65536 ? HEADER.medium : HEADER.long
  const out = Buffer.allocUnsafe(size + length)
  out[0] = 0x80 | opcode
  out[1] = size === HEADER.short ? length : size === HEADER.medium ? 126 : 127
  if (size === HEADER.medium) out.writeUInt16BE(length, 2)
  if (size === HEADER.long) out.writeBigUInt64BE(BigInt(length), 2)
  out.set(payload, size)
  return out
}

export const textFrame = (text) => frame(TEXT, Buffer.from(text))
export const pingFrame = () => frame(PING, Buffer.alloc(0))
export const pongFrame = (payload) => frame(PONG, payload)
export function closeFrame(code, reason = '') {
  if (code === undefined) return frame(CLOSE, Buffer.alloc(0))
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason))
  payload.writeUInt16BE(code)
  payload.write(reason, 2)
  return frame(CLOSE, payload)
}

/**
 * Turns bytes into events: { message }, { ping }, { pong }, { close: code } and, when the connection
 * has to end, { fault: code, what }. After a fault only the other side's Close is looked for.
 */
export class FrameReader {
  #limit
  #head = Buffer.alloc(0) // bytes of a header that is not complete
  #frame = null // the frame whose payload is being read
  #message = null // the message being put together: { bytes, length }
  #dropping = false
  #broken = false

  constructor(limit) {
    this.#limit = limit
  }

  /** From now on no message is kept. */
  drop() {
    this.#dropping = true
    this.#message = this.#message && emptyMessage()
  }

  * push(chunk) {
    let rest = chunk
    while (rest.length > 0 && !this.#broken) {
      if (this.#frame === null) {
        rest = this.#header(rest)
        const fault = this.#frame && this.#check()
        if (fault) yield fault
      }
      if (this.#frame === null || this.#broken) continue
      rest = this.#payload(rest)
      const event = this.#frame.left === 0 ? this.#finish() : null
      if (event) yield event
    }
  }

  #header(rest) {
    const bytes = Buffer.concat([this.#head, rest.subarray(0, HEADER.long + MASK - this.#head.length)])
    const size = bytes.length < 2 ? Infinity : headerSize(bytes[1])
    if (bytes.length < size) {
      this.#head = bytes
      return rest.subarray(rest.length)
    }
    const used = size - this.#head.length
    this.#head = Buffer.alloc(0)
    this.#begin(parseHeader(bytes))
    return rest.subarray(used)
  }

  #begin(header) {
    const broken = faultOf(header, this.#message !== null)
    const control = !broken && header.opcode >= CLOSE ? Buffer.alloc(header.left) : null
    this.#frame = { ...header, broken, control, read: 0 }
    if (!control && this.#message === null) this.#message = emptyMessage()
  }

  #check() {
    const { broken, control, opcode, left } = this.#frame
    this.#broken = broken !== null
    if (broken) return { fault: 1002, what: broken }
    if (control || this.#dropping) return null
    const tooLarge = this.#message.length + left > this.#limit()
    if (opcode !== BINARY && !tooLarge) return null
    this.drop()
    if (opcode === BINARY) return { fault: 1003, what: 'binary messages are not used here' }
    return { fault: 1009, what: `a message here may have ${this.#limit()} bytes` }
  }

  #payload(rest) {
    const { mask, read, control, left } = this.#frame
    const part = rest.subarray(0, left)
    const target = control ?? (this.#dropping ? null : this.#grow(part.length))
    const offset = control ? read : this.#message.length
    if (target) for (let i = 0; i < part.length; i++) target[offset + i] = part[i] ^ mask[(read + i) & 3]
    if (target && !control) this.#message.length += part.length
    this.#frame.read += part.length
    this.#frame.left -= part.length
    return rest.subarray(part.length)
  }

  // The message grows by doubling, so that many small fragments cost no more than their bytes.
  #grow(by) {
    const { bytes, length } = this.#message
    if (length + by <= bytes.length) return bytes
    this.#message.bytes = Buffer.allocUnsafe(Math.max(length + by, Math.min(2 * bytes.length, this.#limit())))
    bytes.copy(this.#message.bytes, 0, 0, length)
    return this.#message.bytes
  }

  #finish() {
    const { opcode, fin, control } = this.#frame
    this.#frame = null
    if (opcode === PING) return { ping: control }
    if (opcode === PONG) return { pong: control }
    if (opcode === CLOSE) return { close: closeCode(control) }
    if (!fin) return null
    const { bytes, length } = this.#message
    this.#message = null
    return this.#dropping ? null : { message: bytes.subarray(0, length) }
  }
}

const emptyMessage = () => ({ bytes: Buffer.alloc(0), length: 0 })

function headerSize(second) {
  const length = second & 0x7f
  const size = length === 127 ? HEADER.long : length === 126 ? HEADER.medium : HEADER.short
  return size + (second & 0x80 ? MASK : 0)
}

function parseHeader(bytes) {
  const short = bytes[1] & 0x7f
  const left = short === 127 ? Number(bytes.readBigUInt64BE(2)) : short === 126 ? bytes.readUInt16BE(2) : short
  const masked = (bytes[1] & 0x80) !== 0
  const size = headerSize(bytes[1])
  const mask = Buffer.from(bytes.subarray(size - MASK, size))
  return { fin: (bytes[0] & 0x80) !== 0, rsv: bytes[0] & 0x70, opcode: bytes[0] & 0x0f, masked, left, short, mask }
}

/** What RFC 6455 does not allow about a frame, or null. */
function faultOf({ fin, rsv, opcode, masked, left, short }, inMessage) {
  const control = opcode >= CLOSE
  if (rsv !== 0) return 'a reserved bit is set'
  if (opcode > PONG || (opcode > BINARY && opcode < CLOSE)) return 'a reserved opcode'
  if (!masked) return 'a frame without a mask'
  if (control && (!fin || left > 125)) return 'a control frame in pieces or above 125 bytes'
  if ((short === 126 && left < 126) || (short === 127 && (left < 65536 || left >= 2 ** 63))) return 'a length in the wrong form'
  if (!control && inMessage !== (opcode === 0)) return 'fragments out of order'
  return null
}

/** The code to answer a Close with: its own, none, or 1002 when it is one that may not be sent. */
function closeCode(payload) {
  if (payload.length === 0) return undefined
  const code = payload.length === 1 ? 0 : payload.readUInt16BE(0)
  const allowed = (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code < 5000)
  return allowed ? code : 1002
}

// An append-only file of records. A record counts once it is whole. What a crash left half written at
// the end is cut off at the next start, and so is damage of the last record, which looks the same: who
// opens the file learns of both by `dropped`. Damage anywhere else is refused.
//
//   file   = head ‖ record*
//   head   = "athena-log 2\n" (13) ‖ key (16, random) ‖ first 8 bytes of SHA-256(all before)
//   record = mark (8) ‖ length (4, little-endian) ‖ check (8) ‖ payload
//   mark   = first 8 bytes of SHA-256(key ‖ "mark")
//   check  = first 8 bytes of SHA-256(key ‖ offset of the record (8) ‖ payload)
//
// Nobody but the file knows its key, and so its mark: no client can push it. Where a mark stands a
// record was begun, and one is begun only when those before it are on the disk.
import { createHash, randomBytes } from 'node:crypto'
import { dirname } from 'node:path'
import * as fs from 'node:fs'

const MAGIC = Buffer.from('athena-log 2\n')
const KEY = 16
const SHORT = 8 // bytes of a hash
const START = MAGIC.length + KEY + SHORT
const HEADER = SHORT + 4 + SHORT
const CHUNK = 1 << 20

const shortHash = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest().subarray(0, SHORT)

export class DamagedLog extends Error {
  constructor(path, what) {
    super(`${path}: ${what}`)
    this.name = 'DamagedLog'
  }
}

export class LogFile {
  #fd
  #path
  #key
  #mark
  #end = START

  /**
   * Opens or makes the file; `onRecord(payload, offset of the payload)` is called for each record.
   * `dropped` tells how many bytes were cut off at its end.
   */
  constructor(path, onRecord) {
    this.#path = path
    if (!fs.existsSync(path)) replaceFile(path, newHead())
    this.#fd = fs.openSync(path, 'r+')
    try {
      this.#key = this.#keyOfHead()
      this.#mark = shortHash(this.#key, 'mark')
      this.dropped = this.#replay(onRecord)
      if (this.dropped > 0) fs.ftruncateSync(this.#fd, this.#end)
      fs.fsyncSync(this.#fd)
    } catch (error) {
      fs.closeSync(this.#fd)
      throw error
    }
  }

  get size() {
    return this.#end
  }

  /** Appends one record and resolves when it is on stable storage, with the offset of its payload. */
  async append(payload) {
    const record = Buffer.concat([this.#header(payload, this.#end), payload])
    await writeAll(this.#fd, record, this.#end)
    await new Promise((resolve, reject) => fs.fdatasync(this.#fd, (error) => (error ? reject(error) : resolve())))
    this.#end += record.length
    return this.#end - payload.length
  }

  /** Cuts off what a failed append may have left. */
  cut() {
    fs.ftruncateSync(this.#fd, this.#end)
    fs.fsyncSync(this.#fd)
  }

  read(offset, length) {
    const bytes = Buffer.allocUnsafe(length)
    if (readAt(this.#fd, bytes, offset) < length) throw new DamagedLog(this.#path, `no ${length} bytes at ${offset}`)
    return bytes
  }

  close() {
    fs.closeSync(this.#fd)
  }

  #keyOfHead() {
    const head = Buffer.alloc(START)
    const whole = readAt(this.#fd, head, 0) === START
    const [magic, key, check] = [head.subarray(0, MAGIC.length), head.subarray(MAGIC.length, -SHORT), head.subarray(-SHORT)]
    if (whole && magic.equals(MAGIC) && check.equals(shortHash(magic, key))) return key
    throw new DamagedLog(this.#path, `no log of this program, or one whose first ${START} bytes are damaged`)
  }

  #header(payload, offset) {
    const length = Buffer.alloc(4)
    length.writeUInt32LE(payload.length)
    return Buffer.concat([this.#mark, length, this.#check(payload, offset)])
  }

  #check(payload, offset) {
    const at = Buffer.alloc(8)
    at.writeBigUInt64LE(BigInt(offset))
    return shortHash(this.#key, at, payload)
  }

  // Returns how many bytes at the end belong to a record that was never finished.
  #replay(onRecord) {
    const size = fs.fstatSync(this.#fd).size
    for (;;) {
      const payload = this.#record(this.#end, size)
      if (payload === null) break
      onRecord(payload, this.#end + HEADER)
      this.#end += HEADER + payload.length
    }
    const later = this.#nextMark(this.#end + 1, size)
    if (later !== null) throw new DamagedLog(this.#path, `the record at ${this.#end} is damaged: it is not the last, another one begins at ${later}`)
    return size - this.#end
  }

  #record(offset, size) {
    if (offset + HEADER > size) return null
    const header = this.read(offset, HEADER)
    const length = header.readUInt32LE(SHORT)
    if (!header.subarray(0, SHORT).equals(this.#mark) || offset + HEADER + length > size) return null
    const payload = this.read(offset + HEADER, length)
    return this.#check(payload, offset).equals(header.subarray(-SHORT)) ? payload : null
  }

  #nextMark(from, size) {
    for (let at = from; at < size; at += CHUNK) {
      const found = this.read(at, Math.min(CHUNK + SHORT - 1, size - at)).indexOf(this.#mark)
      if (found >= 0) return at + found
    }
    return null
  }
}

function newHead() {
  const start = Buffer.concat([MAGIC, randomBytes(KEY)])
  return Buffer.concat([start, shortHash(start)])
}

/** What people are to be told of bytes that a log has lost at its end. */
export const lossOf = (dropped) => `dropped ${dropped} bytes at the end of the log: a write that was never finished, or damage`

async function writeAll(fd, bytes, position) {
  for (let at = 0; at < bytes.length;) {
    at += await new Promise((resolve, reject) => {
      fs.write(fd, bytes, at, bytes.length - at, position + at, (error, n) => (error ? reject(error) : resolve(n)))
    })
  }
}

function readAt(fd, bytes, offset) {
  let at = 0
  while (at < bytes.length) {
    const n = fs.readSync(fd, bytes, at, bytes.length - at, offset + at)
    if (n === 0) break
    at += n
  }
  return at
}

/** Writes a small file, of secrets perhaps, whole or not at all, durably. */
export function replaceFile(path, content) {
  const fd = fs.openSync(`${path}.new`, 'w', 0o600)
  try {
    fs.writeFileSync(fd, content)
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
  fs.renameSync(`${path}.new`, path)
  syncFolder(dirname(path))
}

function syncFolder(path) {
  const fd = fs.openSync(path, 'r')
  try {
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}

// An append-only file of records. A record counts once it is whole; what a crash left half written
// at the end is cut off at the next start, and damage anywhere else is refused.
//
//   file   = "athena-log 1\n" (13) ‖ key (16, random) ‖ record*
//   record = "\xa7REC" (4) ‖ length (4, little-endian) ‖ check (8) ‖ payload
//   check  = first 8 bytes of SHA-256(key ‖ offset of the record (8) ‖ payload)
//
// The key keeps a client from pushing bytes that look like a record to the search below.
import { createHash, randomBytes } from 'node:crypto'
import { dirname } from 'node:path'
import * as fs from 'node:fs'

const MAGIC = Buffer.from('athena-log 1\n')
const MARK = Buffer.from([0xa7, 0x52, 0x45, 0x43])
const START = MAGIC.length + 16
const HEADER = 16
const CHUNK = 1 << 20

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
  #end = START

  /** Opens or makes the file; `onRecord(payload, offset of the payload)` is called for each record. */
  constructor(path, onRecord) {
    this.#path = path
    this.#fd = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600)
    try {
      this.#begin()
      const torn = this.#replay(onRecord)
      if (torn > 0) fs.ftruncateSync(this.#fd, this.#end)
      this.dropped = torn
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

  #begin() {
    const size = fs.fstatSync(this.#fd).size
    if (size < START && MAGIC.subarray(0, size).equals(this.read(0, Math.min(size, MAGIC.length)).subarray(0, size))) return this.#create()
    if (!this.read(0, MAGIC.length).equals(MAGIC)) throw new DamagedLog(this.#path, 'not a log of this server')
    this.#key = this.read(MAGIC.length, 16)
  }

  #create() {
    this.#key = randomBytes(16)
    fs.ftruncateSync(this.#fd, 0)
    fs.writeSync(this.#fd, Buffer.concat([MAGIC, this.#key]), 0, START, 0)
    fs.fsyncSync(this.#fd)
    syncFolder(dirname(this.#path))
  }

  #header(payload, offset) {
    const header = Buffer.alloc(HEADER)
    MARK.copy(header)
    header.writeUInt32LE(payload.length, 4)
    this.#check(payload, offset).copy(header, 8)
    return header
  }

  #check(payload, offset) {
    const at = Buffer.alloc(8)
    at.writeBigUInt64LE(BigInt(offset))
    return createHash('sha256').update(this.#key).update(at).update(payload).digest().subarray(0, 8)
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
    const later = this.#search(this.#end + 1, size)
    if (later !== null) throw new DamagedLog(this.#path, `the record at ${this.#end} is damaged, but the one at ${later} is whole`)
    return size - this.#end
  }

  #record(offset, size) {
    if (offset + HEADER > size) return null
    const header = this.read(offset, HEADER)
    const length = header.readUInt32LE(4)
    if (!header.subarray(0, 4).equals(MARK) || offset + HEADER + length > size) return null
    const payload = this.read(offset + HEADER, length)
    return this.#check(payload, offset).equals(header.subarray(8)) ? payload : null
  }

  #search(from, size) {
    for (let at = from; at < size; at += CHUNK) {
      const bytes = this.read(at, Math.min(CHUNK + MARK.length - 1, size - at))
      for (let i = bytes.indexOf(MARK); i >= 0 && i < CHUNK; i = bytes.indexOf(MARK, i + 1)) {
        if (this.#record(at + i, size) !== null) return at + i
      }
    }
    return null
  }
}

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

/** Writes a small file of secrets whole or not at all, durably. */
export function replaceFile(path, text) {
  const fd = fs.openSync(`${path}.new`, 'w', 0o600)
  try {
    fs.writeFileSync(fd, text)
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

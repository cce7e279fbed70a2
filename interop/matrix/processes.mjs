// The implementations of the matrix, as command lines, and the processes that run them.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const build = (name) => join(process.env.ATHENA_BUILD ?? here('../../build'), name)
const node = (name) => [process.execPath, here(`../${name}`)]

/** `at(port)` and `check`, where there is one, are arguments; a server's first line has its URL. */
export const SERVERS = {
  C: { command: [build('athena-syncd')], at: (port) => ['--log-level', 'error', '--listen', `127.0.0.1:${port}`], check: 'check' },
  JavaScript: { command: node('server.mjs'), at: (port) => ['--port', port] },
}

/** Each has the commands init, key and watch of athena-sync(1); watch keeps to spec/driver.md. */
export const CLIENTS = {
  C: [build('athena-sync')],
  JavaScript: node('cli.mjs'),
}

export const needed = () => [SERVERS.C.command[0], CLIENTS.C[0]]

// Those that run; none is left behind, however this program ends.
const running = new Set()
process.on('exit', endAll)

export function endAll() {
  for (const child of running) child.kill('SIGKILL')
}

export function start(command, ...args) {
  const [program, ...first] = command
  const child = spawn(program, [...first, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  running.add(child)
  child.ended = once(child, 'exit').finally(() => running.delete(child))
  child.stdin.on('error', () => {}) // of a killed process, whose end is seen elsewhere
  return child
}

export async function end(child, signal) {
  child.kill(signal)
  await child.ended
}

/** Calls `take` for each whole line; of a killed process the last one may be cut short. */
export function eachLine(stream, take) {
  let rest = ''
  stream.setEncoding('utf8').on('data', (text) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()
    for (const line of lines) take(line)
  })
}

/** The output of a command that ends by itself. */
export async function run(command, ...args) {
  const child = start(command, ...args)
  let output = ''
  child.stdin.end()
  child.stdout.setEncoding('utf8').on('data', (text) => { output += text })
  const closed = once(child.stdout, 'close')
  const [code] = await child.ended
  await closed
  if (code !== 0) throw new Error(`${[...command, ...args].join(' ')} ended with ${code}`)
  return output.trim()
}

/** A server on a folder; from its second start on it takes the same port again. */
export class Server {
  #implementation
  #port = '0'

  constructor(implementation, folder) {
    this.#implementation = implementation
    this.folder = folder
  }

  async start() {
    const { command, at } = this.#implementation
    this.child = start(command, ...at(this.#port), '--data', this.folder)
    const line = await new Promise((resolve, reject) => {
      eachLine(this.child.stdout, resolve)
      this.child.ended.then(([code]) => reject(new Error(`the server ended with ${code} at its start`)))
    })
    this.url = line.match(/ws:\S+/)[0]
    this.#port = new URL(this.url).port
  }

  kill() {
    return end(this.child, 'SIGKILL')
  }

  async stop() {
    await end(this.child, 'SIGTERM')
    const { command, check } = this.#implementation
    if (check) await run(command, check, '--data', this.folder)
  }
}

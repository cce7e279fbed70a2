#!/usr/bin/env node
// Serves the page, and starts the server that its devices sync through.
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { tmpdir } from 'node:os'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseOptions } from '../node/options.mjs'

const USAGE = `usage: serve.mjs [--port N] [--sync URL | --server COMMAND]

  --port N          of the page; 0, the default, lets the system choose
  --sync URL        sync through the server there
  --server COMMAND  start this one, on a folder {dir} of its own, and stop it at the end; its first line
                    has to name its URL. By default athena-syncd of the build folder, ATHENA_BUILD
  --help            prints this`

const INTEROP = fileURLToPath(new URL('..', import.meta.url))
const BUILD = process.env.ATHENA_BUILD ?? join(INTEROP, '..', 'build')
const DEFAULT_SERVER = `exec '${BUILD}/athena-syncd' --listen 127.0.0.1:0 --data '{dir}'`

const TYPES = { '.html': 'text/html; charset=utf-8', '.css': 'text/css', '.mjs': 'text/javascript', '.js': 'text/javascript', '.wasm': 'application/wasm' }

// Where browsers find what the modules import by name.
const IMPORTS = {
  '@automerge/automerge': '/modules/@automerge/automerge/dist/mjs/entrypoints/slim.js',
  '@noble/ciphers/chacha': '/modules/@noble/ciphers/esm/chacha.js',
  '@noble/curves/ed25519': '/modules/@noble/curves/esm/ed25519.js',
  '@noble/hashes/blake2': '/modules/@noble/hashes/esm/blake2.js',
  '@noble/hashes/utils': '/modules/@noble/hashes/esm/utils.js',
  '@noble/hashes/crypto': '/modules/@noble/hashes/esm/crypto.js',
  '@noble/hashes/': '/modules/@noble/hashes/esm/'
}
const IMPORT_MAP = JSON.stringify({ imports: IMPORTS })

// What a path of the page may be, and the folder it is in; nothing else is served.
const FOLDERS = [
  [/^\/web\/[\w-]+\.(html|css|mjs)$/, ''],
  [/^\/client\.mjs$|^\/(client|lib)\/[\w-]+\.mjs$/, ''],
  [/^\/modules\/@(automerge|noble)\/[\w@./-]+\.(js|wasm)$/, 'node_modules']
]

function fileOf(path) {
  const found = FOLDERS.find(([pattern]) => pattern.test(path) && !path.includes('..'))
  return found && join(INTEROP, normalize(found[1] ? path.replace('/modules', `/${found[1]}`) : path))
}

function policy(sync) {
  const map = createHash('sha256').update(IMPORT_MAP).digest('base64')
  return `default-src 'none'; script-src 'self' 'wasm-unsafe-eval' 'sha256-${map}'; style-src 'self'; img-src data:; ` +
    `connect-src 'self' ${new URL(sync).origin.replace(/^http/, 'ws')}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
}

async function answer(path, sync) {
  if (path === '/config.json') return { type: 'application/json', body: JSON.stringify({ url: sync }) }
  const file = fileOf(path)
  if (!file) return null
  const body = await readFile(file)
  if (!path.endsWith('.html')) return { type: TYPES[extname(path)], body }
  return { type: TYPES['.html'], body: String(body).replace('<!--importmap-->', `<script type="importmap">${IMPORT_MAP}</script>`) }
}

function handle(sync) {
  const headers = { 'Content-Security-Policy': policy(sync), 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'no-referrer' }
  return async (request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost')
    if (pathname === '/') return response.writeHead(302, { Location: '/web/index.html' }).end()
    const found = await answer(pathname, sync).catch(() => null)
    if (!found) return response.writeHead(404, headers).end('not here\n')
    response.writeHead(200, { ...headers, 'Content-Type': found.type }).end(found.body)
  }
}

// Its URL, and how to end it.
async function startSync(command) {
  const folder = mkdtempSync(join(tmpdir(), 'athena-web-'))
  const child = spawn('/bin/sh', ['-c', command.replaceAll('{dir}', folder)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit').then(() => rmSync(folder, { recursive: true, force: true }))
  const failed = ended.then(() => { throw new Error(`the server ended at its start: ${command}`) })
  const [line] = await Promise.race([once(createInterface(child.stdout), 'line'), failed])
  failed.catch(() => {})
  const url = line.match(/wss?:\S+/)?.[0]
  if (!url) throw new Error(`the server's first line names no URL: ${line}`)
  return { url, stop: () => (child.kill('SIGTERM'), ended) }
}

async function main() {
  const { values } = parseOptions({
    options: { help: { type: 'boolean' }, port: { type: 'string', default: '0' }, sync: { type: 'string' }, server: { type: 'string', default: DEFAULT_SERVER } }
  })
  if (values.help) return console.log(USAGE)
  const sync = values.sync ? { url: values.sync, stop: () => {} } : await startSync(values.server)
  const pages = createServer(handle(sync.url)).listen(Number(values.port), '127.0.0.1')
  await once(pages, 'listening')
  console.log(`open http://127.0.0.1:${pages.address().port}/`)
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, async () => {
      pages.close()
      pages.closeAllConnections?.()
      await sync.stop()
    })
  }
}

main().catch((error) => {
  console.error(`serve.mjs: ${error.message}`)
  process.exit(1)
})

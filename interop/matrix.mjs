#!/usr/bin/env node
// Every server with every client: a real editing session of two authors, as Automerge changes,
// through each cell of {C, JavaScript} servers x {C, JavaScript, both} clients. Prints what happens
// in each and then the table. Exit: 0 all as it should be, 1 not, 2 wrong options or nothing to run.
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Cell } from './matrix/cell.mjs'
import { CLIENTS, endAll, needed, SERVERS } from './matrix/processes.mjs'
import { session as load } from './matrix/trace.mjs'
import { parseOptions } from './node/options.mjs'

const { C, JavaScript } = CLIENTS
const COLUMNS = { C: [C, C, C], JavaScript: [JavaScript, JavaScript, JavaScript], mixed: [C, JavaScript, JavaScript] }

const USAGE = `usage: matrix.mjs [--server NAME] [--clients NAME]

  --server NAME   this row only: ${Object.keys(SERVERS).join(', ')}
  --clients NAME  this column only: ${Object.keys(COLUMNS).join(', ')}
  --help          prints this

ATHENA_BUILD names the folder of the C programs, ATHENA_TRACES that of friendsforever.json.gz.`

const traces = process.env.ATHENA_TRACES ?? fileURLToPath(new URL('../../shared/traces', import.meta.url))
const recording = join(traces, 'friendsforever.json.gz')

function options() {
  const { values } = parseOptions({ options: { server: { type: 'string' }, clients: { type: 'string' }, help: { type: 'boolean' } } })
  if (values.help) return { help: true }
  const rows = values.server === undefined ? Object.keys(SERVERS) : [values.server]
  const columns = values.clients === undefined ? Object.keys(COLUMNS) : [values.clients]
  const wrong = [...rows.filter((name) => !Object.hasOwn(SERVERS, name)), ...columns.filter((name) => !Object.hasOwn(COLUMNS, name))]
  if (wrong.length > 0) throw new Error(`there is no ${wrong[0]}`)
  if (process.env.ATHENA_TRACES !== undefined && !existsSync(recording)) throw new Error(`${recording} not found, which ATHENA_TRACES names`)
  const missing = needed().filter((path) => !existsSync(path))
  if (missing.length > 0) throw new Error(`${missing.join(', ')} not found; make all builds them`)
  return { rows, columns }
}

async function run(session, row, column) {
  const folder = mkdtempSync(join(tmpdir(), 'athena-matrix-'))
  console.log(`\n${row} server, ${column} clients`)
  const cell = new Cell({ session, server: SERVERS[row], clients: COLUMNS[column], folder, tell: (line) => console.log(line) })
  const start = performance.now()
  try {
    await cell.run()
  } catch (error) {
    cell.failures.push(error.message)
    endAll()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  for (const failure of cell.failures) console.log(`FAIL ${failure}`)
  return { isGood: cell.failures.length === 0, seconds: (performance.now() - start) / 1000 }
}

const print = (cells) => console.log(cells.map((cell) => cell.padEnd(24)).join('').trimEnd())

function describe({ isGood, seconds }, count) {
  return `${isGood ? `ok  ${count.toLocaleString('en')}` : 'FAILED'}  ${seconds.toFixed(1)} s`
}

async function main({ rows, columns }) {
  const session = load(recording)
  const count = session.changes.length
  console.log(`${count.toLocaleString('en')} changes of two authors, ${session.source}`)
  const table = []
  for (const row of rows) {
    const cells = []
    for (const column of columns) cells.push(await run(session, row, column))
    table.push({ row, cells })
  }
  console.log('\nServers by clients, with the changes that each replica holds at the end:\n')
  print(['', ...columns.map((name) => `${name} clients`)])
  for (const { row, cells } of table) print([`${row} server`, ...cells.map((cell) => describe(cell, count))])
  return table.every(({ cells }) => cells.every(({ isGood }) => isGood))
}

let wanted
try {
  wanted = options()
} catch (error) {
  console.error(`${error.message}\n\n${USAGE}`)
  process.exit(2)
}
if (wanted.help) console.log(USAGE)
else process.exitCode = (await main(wanted)) ? 0 : 1

#!/usr/bin/env node
// Breaks the reference implementation on purpose, one fault at a time, and sees whether the conformance
// suite notices: fixtures/mutants/README.md tells what a mutant is. Each is applied to a copy of the
// sources, of which only what it changes is built again.
//
//   mutants.mjs [--jobs N] [--readme] [--json FILE] [--storm SECONDS] [NAME...]
//
// With --storm: whether a storm of that length finds those it is said to find, and shrinks each to a
// scenario that the reference passes.
//
// Exit: 0 every mutant is killed by the requirement it breaks and the harmless ones live, 1 not so, 2 usage.
import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const BUILD = resolve(process.env.ATHENA_BUILD ?? join(ROOT, 'build'))
const MUTANTS = join(ROOT, 'fixtures', 'mutants')
const TIMEOUT_S = '3' // of a scenario; what is killed by waiting is killed all the same
const SOURCES = ['Makefile', 'protocol', 'reference-server', 'reference-client']

/** Status, standard output and standard error together. */
function run(command, args, options = {}) {
  return new Promise((done) => {
    execFile(command, args, { maxBuffer: 1 << 28, ...options }, (error, out, err) => done({ status: error ? error.code ?? 1 : 0, text: out + err }))
  })
}

// ---- What there is ----

// "Name: value" lines, then a line of dashes and the patch; in a cheat they are its first comments.
function readMutant(folder, file) {
  const path = join(MUTANTS, folder, file)
  const head = readFileSync(path, 'utf8').split('---\n')[0]
  const line = (name) => head.match(new RegExp(`^(?:// )?${name}: (.*)$`, 'm'))?.[1]
  const mutant = { name: `${folder}/${file.replace(/\.\w+$/, '')}`, folder, path, breaks: line('Breaks')?.split(/[ ,]+/) ?? [], fault: line('Fault'), isStormy: line('Storm') !== undefined }
  if (!mutant.fault || (folder === 'harmless') !== (mutant.breaks.length === 0)) throw new Error(`${path}: its head needs Fault:, and Breaks: unless it is harmless`)
  return mutant
}

function readMutants(names) {
  const all = readdirSync(MUTANTS, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => readdirSync(join(MUTANTS, name)).sort().map((file) => readMutant(name, file)))
  const unknown = names.find((name) => !all.some((mutant) => mutant.name.includes(name)))
  if (unknown) throw new Error(`no mutant is called ${unknown}`)
  return names.length === 0 ? all : all.filter((mutant) => names.some((name) => mutant.name.includes(name)))
}

// ---- One mutant ----

// Sources and objects, with their times, so that make sees what a patch changes and nothing else.
function copySources() {
  const copy = mkdtempSync(join(tmpdir(), 'athena-mutant-'))
  const keep = (path) => !/\/(tests|fuzz)(\/|$)/.test(path)
  for (const name of SOURCES) cpSync(join(ROOT, name), join(copy, name), { recursive: true, preserveTimestamps: true, filter: keep })
  for (const name of SOURCES.slice(1)) cpSync(join(BUILD, name), join(copy, 'build', name), { recursive: true, preserveTimestamps: true, filter: keep })
  return copy
}

async function build(mutant, copy, program) {
  const applied = await run('git', ['apply', '-C1', mutant.path], { cwd: copy, env: { ...process.env, GIT_CEILING_DIRECTORIES: tmpdir() } })
  if (applied.status !== 0) return `the patch does not apply: ${applied.text}`
  const made = await run('make', ['-s', 'BUILD=build', `build/${program}`], { cwd: copy })
  return made.status === 0 ? null : `it does not build: ${made.text}`
}

// The requirements that broke; null when the suite could not judge.
async function judge(copy, command, selection) {
  const report = join(copy, 'report.json')
  rmSync(report, { force: true })
  const { status, text } = await run(join(BUILD, 'athena-conform'), [...command, '--timeout', TIMEOUT_S, '--jobs', '4', '--report', `json=${report}`, ...selection])
  if (!existsSync(report)) return { broken: [], isGreen: false, trouble: text.trim() } // nothing cites it, or nothing could run
  const { scenarios, troubles } = JSON.parse(readFileSync(report, 'utf8'))
  const broken = scenarios.filter(({ status }) => status === 'fail')
  return { broken, isGreen: status === 0, trouble: troubles[0] }
}

// Whether a storm finds it, and shows it by a scenario that tells it from the reference.
async function weather(copy, command, seconds) {
  const scenario = join(copy, 'storm.json')
  const server = command.slice(1)
  const storm = await run(join(BUILD, 'athena-conform'), ['storm', ...server, '--time', seconds, '--seed', '1', '--timeout', TIMEOUT_S, '--jobs', '1', '--output', scenario])
  if (storm.status !== 1) return { outcome: storm.status === 0 ? 'survived' : 'no verdict', by: storm.status === 0 ? '' : storm.text.trim() }
  const found = storm.text.match(/breaks (\S+): .*?(\d+) of \d+ operations left after (\d+) runs; played again it fails (\d+)/s)
  const reference = server.map((word) => word.replaceAll(copy + '/build', BUILD))
  const again = await run(join(BUILD, 'athena-conform'), ['server', ...reference, scenario])
  if (again.status !== 0) return { outcome: 'false alarm', by: again.text.trim() }
  return { outcome: found[4] === '0' ? 'not reproduced' : 'killed', by: `${found[1]} with ${found[2]} operations, of ${found[3]} runs` }
}

// What a mutant of each folder is built to, if it is, and how it is tested.
const KINDS = {
  server: (copy) => ({ program: 'athena-syncd', command: ['server', '--exec', `${copy}/build/athena-syncd --listen 127.0.0.1:{port} --data {dir} --quota-document-bytes {quota} --open-within-ms {open_within_ms} --idle-ms {idle_ms} --dead-ms {dead_ms} --limit-change {limit_change} [--token-file {token_file}]`] }),
  client: (copy) => ({ program: 'athena-sync', command: ['client', '--driver', `${copy}/build/athena-sync watch {dir} --key {key} --url {url} --offline --patience-ms {patience_ms}`] }),
  cheats: (copy, path) => ({ command: ['server', '--exec', `'${process.execPath}' '${path}' {port}`] })
}
KINDS.protocol = KINDS.harmless = KINDS.server

async function verdict(mutant, copy, storm) {
  const { program, command } = KINDS[mutant.folder](copy, mutant.path)
  const failure = program && await build(mutant, copy, program)
  if (failure) return { outcome: 'unusable', by: failure }
  if (storm) return weather(copy, command, storm)
  // What cites the requirement first: that is where most die.
  for (const selection of [...mutant.breaks.map((id) => ['--requirement', id]), []]) {
    const { broken, isGreen, trouble } = await judge(copy, command, selection)
    const hit = broken.find(({ requirement }) => mutant.breaks.includes(requirement))
    if (hit) return { outcome: 'killed', by: `${hit.requirement} in ${hit.name}` }
    if (selection.length > 0) continue
    if (broken.length > 0) return { outcome: 'killed by another', by: broken.map(({ requirement, name }) => `${requirement} in ${name}`).slice(0, 4).join(', ') }
    return isGreen ? { outcome: 'survived', by: '' } : { outcome: 'killed by another', by: trouble ?? 'no verdict' }
  }
}

async function test(mutant, storm) {
  const copy = copySources()
  try {
    const result = await verdict(mutant, copy, storm)
    const isHarmless = mutant.folder === 'harmless'
    return { ...mutant, ...result, isRight: result.outcome === (isHarmless ? 'survived' : 'killed') }
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

// ---- All of them ----

async function testAll(mutants, jobs, storm) {
  const results = []
  let next = 0
  const work = async () => {
    while (next < mutants.length) {
      const result = await test(mutants[next++], storm)
      results.push(result)
      console.log(`${result.isRight ? 'ok  ' : 'FAIL'} ${result.name.padEnd(42)} ${result.outcome.padEnd(18)} ${result.by}`)
    }
  }
  await Promise.all(Array.from({ length: jobs }, work))
  return results.sort((a, b) => a.name.localeCompare(b.name))
}

const count = (results, outcome) => results.filter((result) => result.folder !== 'harmless' && result.outcome === outcome).length

function score(results) {
  const faults = results.filter(({ folder }) => folder !== 'harmless')
  const harmless = results.filter(({ folder }) => folder === 'harmless')
  return `${count(results, 'killed')} of ${faults.length} mutants killed by the requirement they break, ` +
    `${count(results, 'killed by another')} by another, ${count(results, 'survived')} survived; ` +
    `${harmless.filter(({ isRight }) => isRight).length} of ${harmless.length} harmless ones left alone`
}

// The line of README.md that tells the last run.
function writeReadme(line) {
  const path = join(ROOT, 'README.md')
  writeFileSync(path, readFileSync(path, 'utf8').replace(/(<!-- mutants -->\n)[^\n]*/, `$1${line}.`))
}

async function main() {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { jobs: { type: 'string', default: String(cpus().length) }, readme: { type: 'boolean' }, json: { type: 'string' }, storm: { type: 'string' } } })
  const start = Date.now()
  const mutants = readMutants(positionals).filter(({ isStormy }) => !values.storm || isStormy || positionals.length > 0)
  const results = await testAll(mutants, Number(values.jobs), values.storm)
  const line = values.storm ? `${count(results, 'killed')} of ${results.length} mutants found by a storm of ${values.storm} s` : score(results)
  console.log(`${line} (${Math.round((Date.now() - start) / 1000)} s)`)
  if (values.readme) writeReadme(line)
  if (values.json) writeFileSync(values.json, JSON.stringify({ score: line, mutants: results.map(({ path, folder, ...rest }) => rest) }, null, 2) + '\n')
  process.exitCode = results.every(({ isRight }) => isRight) ? 0 : 1
}

main().catch((error) => {
  console.error(`mutants.mjs: ${error.message}`)
  process.exitCode = 2
})

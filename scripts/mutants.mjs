#!/usr/bin/env node
// Breaks the reference implementation on purpose, one fault at a time, and sees whether the conformance
// suite notices: fixtures/mutants/README.md tells what a mutant is. Each is applied to a copy of the
// sources, of which only what it changes is built again. The reference itself is judged first, in the
// same way: what it does not pass, a busy machine for instance, proves nothing about a mutant.
//
//   mutants.mjs [--jobs N] [--readme] [--json FILE] [--storm SECONDS] [NAME...]
//
// With --storm: whether a storm of that length finds those it is said to find, and shrinks each to a
// scenario that the reference passes.
//
// Exit: 0 every mutant is killed by the requirement it breaks, the harmless ones live and README.md tells
// this score; 1 not so; 2 usage, or the reference does not pass.
import { execFile, execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const BUILD = resolve(process.env.ATHENA_BUILD ?? join(ROOT, 'build'))
const MUTANTS = join(ROOT, 'fixtures', 'mutants')
const TIMEOUT_S = '3' // of a scenario
const SURE_TIMEOUT_S = '15' // when it is tried again alone
const LANES_A_CPU = 2 // half of the time is spent on waiting
const SURE_JOBS = 8 // such trials, which mostly wait
const TIMES_SLOWER = 10 // than the reference, for a scenario that is waited for in vain
const MARK = '<!-- mutants -->\n' // before the score in README.md
const SOURCES = ['Makefile', 'protocol', 'reference-server', 'reference-client']

/** Status, standard output and standard error together. */
function run(command, args, options = {}) {
  return new Promise((done) => {
    execFile(command, args, { maxBuffer: 1 << 28, ...options }, (error, out, err) => done({ status: error ? error.code ?? 1 : 0, text: out + err }))
  })
}

// ---- What there is ----

// Which suites judge the mutants of a folder; a line "Suites:" in a patch says it for one.
const SUITES_OF = { server: ['server'], client: ['client'], protocol: ['server', 'client'], harmless: ['server'], cheats: ['cheat'] }

// "Name: value" lines, then a line of dashes and the patch; in a cheat they are its first comments.
function readMutant(folder, file) {
  const path = join(MUTANTS, folder, file)
  const head = readFileSync(path, 'utf8').split('---\n')[0]
  const line = (name) => head.match(new RegExp(`^(?:// )?${name}: (.*)$`, 'm'))?.[1]
  const mutant = { name: `${folder}/${file.replace(/\.\w+$/, '')}`, folder, path, breaks: line('Breaks')?.split(/[ ,]+/) ?? [], fault: line('Fault'), suites: line('Suites')?.split(' ') ?? SUITES_OF[folder], isStormy: line('Storm') !== undefined }
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

async function build(mutant, copy) {
  const applied = await run('git', ['apply', '-C1', mutant.path], { cwd: copy, env: { ...process.env, GIT_CEILING_DIRECTORIES: tmpdir() } })
  if (applied.status !== 0) return `the patch does not apply: ${applied.text}`
  const made = await run('make', ['-s', 'BUILD=build', 'OPT=-O0', ...mutant.suites.map((suite) => `build/${PROGRAMS[suite]}`)], { cwd: copy })
  return made.status === 0 ? null : `it does not build: ${made.text}`
}

// The scenarios that failed; `trouble` when the suite could not judge.
async function judge(folder, command, selection, { timeout, jobs }) {
  const report = join(folder, `${command[0]}.json`)
  rmSync(report, { force: true })
  const { status, text } = await run(join(BUILD, 'athena-conform'), [...command, '--timeout', timeout, '--jobs', jobs, '--report', `json=${report}`, ...selection])
  if (!existsSync(report)) return { broken: [], isGreen: false, trouble: text.trim() } // nothing cites it, or nothing could run
  const { scenarios, troubles } = JSON.parse(readFileSync(report, 'utf8'))
  return { broken: scenarios.filter(({ status }) => status === 'fail'), isGreen: status === 0, trouble: troubles[0], slowest_ms: Math.max(...scenarios.map(({ ms }) => ms)) }
}

const QUICK = { timeout: TIMEOUT_S, jobs: '4' }
const SURE = { timeout: SURE_TIMEOUT_S, jobs: '1' }
const isWait = ({ message }) => message.startsWith('waited ')
const told = ({ requirement, name }) => `${requirement} in ${name}`

// What one suite says. Where nothing but waiting killed it, `waited` names the scenario.
async function ask(mutant, copy, suite, how) {
  const command = COMMANDS[suite](join(copy, 'build'), mutant.path)
  const findHit = (broken) => {
    const hits = broken.filter(({ requirement }) => mutant.breaks.includes(requirement))
    return hits.find((scenario) => !isWait(scenario)) ?? hits[0]
  }
  const killed = (hit) => ({ outcome: 'killed', by: told(hit), waited: isWait(hit) ? hit.name : null })
  // Most die by the first that fails of those that cite the requirement.
  for (const id of mutant.breaks) {
    for (const extent of [['--bail'], []]) {
      const { broken } = await judge(copy, command, ['--requirement', id, ...extent], how)
      const hit = findHit(broken)
      if (hit) return killed(hit)
      if (broken.length === 0) break
    }
  }
  const { broken, isGreen, trouble } = await judge(copy, command, [], how)
  const hit = findHit(broken)
  if (hit) return killed(hit)
  if (broken.length > 0) return { outcome: 'killed by another', by: broken.slice(0, 4).map(told).join(', ') }
  return isGreen ? { outcome: 'survived', by: '' } : { outcome: 'killed by another', by: trouble ?? 'no verdict' }
}

// Once more, alone, and with more time if the reference needs more at the moment: a busy machine might
// have done it.
async function askAgain(mutant, copy, suite, { waited }) {
  const command = COMMANDS[suite](join(copy, 'build'), mutant.path)
  if (waited && suite !== 'cheat') {
    const { isGreen, slowest_ms } = await judge(copy, COMMANDS[suite](BUILD), [waited], SURE)
    const timeout = Math.ceil(Math.max(Number(TIMEOUT_S), TIMES_SLOWER * slowest_ms / 1000))
    const { broken } = isGreen ? await judge(copy, command, [waited], { ...SURE, timeout: String(timeout) }) : { broken: [] }
    const hit = broken.find(({ requirement }) => mutant.breaks.includes(requirement))
    if (hit) return { outcome: 'killed', by: told(hit) }
  }
  return ask(mutant, copy, suite, SURE)
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

// The makefile's own, with programs from another folder than those that were built.
const made = {}
const asMade = (name, folder) => {
  made[name] ??= execFileSync('make', ['-s', '--no-print-directory', '-C', ROOT, 'BUILD=build', `show-${name}`], { encoding: 'utf8' }).trim()
  return made[name].replaceAll(join(ROOT, 'build'), folder)
}

// What each suite runs: of the programs in `folder`, or of a cheat.
const COMMANDS = {
  server: (folder) => ['server', '--exec', asMade('SERVER_COMMAND', folder)],
  client: (folder) => ['client', '--driver', asMade('CLIENT_COMMAND', folder)],
  cheat: (folder, path) => ['server', '--exec', `'${process.execPath}' '${path}' {port}`]
}
const PROGRAMS = { server: 'athena-syncd', client: 'athena-sync' }

// A suite's verdicts, and what they come to: a mutant has to be killed by each suite that judges it.
async function test(mutant, copy, storm) {
  const failure = mutant.folder === 'cheats' ? null : await build(mutant, copy)
  if (failure) return [{ outcome: 'unusable', by: failure }]
  if (storm) return [await weather(copy, COMMANDS[mutant.suites[0]](join(copy, 'build'), mutant.path), storm)]
  const verdicts = []
  for (const suite of mutant.suites) verdicts.push({ suite, ...await ask(mutant, copy, suite, QUICK) })
  return verdicts
}

// What a busy machine may have done: a wait in vain, and a kill that comes too late to show anything.
const isDoubtful = ({ breaks }, { outcome, waited }) =>
  outcome === 'killed by another' || (outcome === 'survived' && breaks.length > 0) || (outcome === 'killed' && waited)

function conclude(mutant, verdicts) {
  const { outcome } = verdicts.find(({ outcome }) => outcome !== 'killed') ?? verdicts[0]
  const by = verdicts.map(({ by, suite }) => verdicts.length > 1 ? `${suite}: ${by || 'survived'}` : by).join('; ')
  return { ...mutant, outcome, by, isRight: outcome === (mutant.folder === 'harmless' ? 'survived' : 'killed') }
}

// ---- All of them ----

const inParallel = (jobs, items, work) => {
  let next = 0
  const worker = async () => { while (next < items.length) await work(items[next++]) }
  return Promise.all(Array.from({ length: jobs }, worker))
}

// As a mutant that breaks nothing: it has to survive.
async function checkReference(mutants) {
  const suites = ['server', 'client'].filter((suite) => mutants.some((mutant) => mutant.suites.includes(suite)))
  const folder = mkdtempSync(join(tmpdir(), 'athena-mutant-'))
  symlinkSync(BUILD, join(folder, 'build'))
  try {
    await inParallel(suites.length, suites, async (suite) => {
      const first = await ask({ breaks: [] }, folder, suite, QUICK)
      const { outcome, by } = isDoubtful({ breaks: [] }, first) ? await askAgain({ breaks: [] }, folder, suite, first) : first
      if (outcome !== 'survived') throw new Error(`the reference itself does not pass the suite for ${suite}s, so mutants prove nothing: ${by}`)
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function tell(result) {
  console.log(`${result.isRight ? 'ok  ' : 'FAIL'} ${result.name.padEnd(42)} ${result.outcome.padEnd(18)} ${result.by}`)
  return result
}

async function testAll(mutants, jobs, storm) {
  const results = []
  const doubtful = []
  const finish = (mutant, copy, verdicts) => {
    rmSync(copy, { recursive: true, force: true })
    results.push(tell(conclude(mutant, verdicts)))
  }
  await inParallel(jobs, mutants, async (mutant) => {
    const copy = copySources()
    const verdicts = await test(mutant, copy, storm)
    if (!storm && verdicts.some((verdict) => isDoubtful(mutant, verdict))) doubtful.push({ mutant, copy, verdicts })
    else finish(mutant, copy, verdicts)
  })
  await inParallel(SURE_JOBS, doubtful, async ({ mutant, copy, verdicts }) => {
    for (const [i, verdict] of verdicts.entries()) if (isDoubtful(mutant, verdict)) verdicts[i] = { suite: verdict.suite, ...await askAgain(mutant, copy, verdict.suite, verdict) }
    finish(mutant, copy, verdicts)
  })
  return results.sort((a, b) => a.name.localeCompare(b.name))
}

const count = (results, outcome) => results.filter((result) => result.folder !== 'harmless' && result.outcome === outcome).length

function score(results) {
  const faults = results.filter(({ folder }) => folder !== 'harmless')
  const harmless = results.filter(({ folder }) => folder === 'harmless')
  const unusable = results.filter(({ outcome }) => outcome === 'unusable').length
  return `${count(results, 'killed')} of ${faults.length} mutants killed by the requirement they break, ` +
    `${count(results, 'killed by another')} by another, ${count(results, 'survived')} survived, ${unusable} unusable; ` +
    `${harmless.filter(({ isRight }) => isRight).length} of ${harmless.length} harmless ones left alone`
}

// What has to be seen to, once more at the end of many lines: "unusable: server/150-…".
function* complaints(results) {
  const wrong = results.filter(({ isRight }) => !isRight)
  for (const outcome of new Set(wrong.map(({ outcome }) => outcome))) {
    yield `${outcome}: ${wrong.filter((result) => result.outcome === outcome).map(({ name }) => name).join(', ')}`
  }
}

// The line of README.md that tells the last run: written when asked, else compared.
function tellReadme(line, isWritten) {
  const path = join(ROOT, 'README.md')
  const text = readFileSync(path, 'utf8')
  const updated = text.replace(new RegExp(`${MARK}[^\\n]*`), `${MARK}${line}.`)
  const isTold = updated.includes(`${MARK}${line}.`) && (isWritten || updated === text)
  if (isTold && isWritten) writeFileSync(path, updated)
  if (!isTold) console.log(`FAIL README.md does not tell this score; --readme writes it behind ${MARK.trim()}`)
  return isTold
}

async function main() {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { jobs: { type: 'string', default: String(LANES_A_CPU * cpus().length) }, readme: { type: 'boolean' }, json: { type: 'string' }, storm: { type: 'string' } } })
  const start = Date.now()
  const mutants = readMutants(positionals).filter(({ isStormy }) => !values.storm || isStormy || positionals.length > 0)
  if (!values.storm) await checkReference(mutants)
  const results = await testAll(mutants, Number(values.jobs), values.storm)
  const line = values.storm ? `${count(results, 'killed')} of ${results.length} mutants found by a storm of ${values.storm} s` : score(results)
  for (const complaint of complaints(results)) console.log(`FAIL ${complaint}`)
  console.log(`${line} (${Math.round((Date.now() - start) / 1000)} s)`)
  const isAll = !values.storm && positionals.length === 0
  const isTold = !isAll || tellReadme(line, values.readme)
  if (values.json) writeFileSync(values.json, JSON.stringify({ score: line, mutants: results.map(({ path, folder, ...rest }) => rest) }, null, 2) + '\n')
  process.exitCode = isTold && results.every(({ isRight }) => isRight) ? 0 : 1
}

main().catch((error) => {
  console.error(`mutants.mjs: ${error.message}`)
  process.exitCode = 2
})

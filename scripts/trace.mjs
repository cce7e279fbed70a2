#!/usr/bin/env node
// From each requirement of the specification to the scenarios, the code and the mutants that cite it, and
// back: a table, with what is missing. Exit: 0 no hole, 1 holes, 2 usage.
//
//   trace.mjs [--json FILE] [--html FILE [--reports]] [--quiet]
//
// A scenario covers a requirement only when a step of it can fail for it: the step cites it, or cites
// nothing and the requirement is the first of the scenario; or the harness checks it of its own accord
// (conformance/duty.h). It lists all that it covers by its steps, and nothing that it does not cover.
//
// --quiet leaves the table out. --reports lets the page's scenarios lead to where they stand in servers.html
// and clients.html beside it, the reports of `make report`.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SPEC = 'spec/athena-sync-1.md'
const UNTESTED = 'spec/untested.json'
const CODE = ['protocol', 'reference-server', 'reference-client']
const HARNESS = 'conformance'
const CONTRACT = 'spec/driver.md' // cited where a driver breaks it; it has no requirements with ids
const FOLDERS = { server: 'fixtures/scenarios', client: 'fixtures/client-scenarios' }
const DUTY = { server: /^An? (?:server|sender|receiver|side) /, client: /^An? (?:client|sender|receiver|side) / }
// Whom an excuse may say that a requirement is asked of, and how its sentence then begins.
const ASKED = { operators: /^An operator /, applications: /^An application /, 'those who define extensions': /^An extension / }
// Steps that cannot fail for what the implementation does, and those that do it for what they cite alone.
const CANNOT_FAIL = ['document', 'change', 'changes', 'let', 'send', 'send_text', 'send_frames', 'send_bytes', 'send_fragmented', 'stop_reading', 'resume_reading', 'abandon', 'repeat', 'if', 'parallel', 'relay', 'kill', 'server=kill', 'server=save', 'server=restore', 'log.becomes']
const FAILS_AS_CITED = ['disconnect', 'device', 'add', 'tell', 'stop', 'serve', 'server=start', 'server=stop']

const read = (path) => readFileSync(join(ROOT, path), 'utf8')

function* filesBelow(folder, keep) {
  for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) yield* filesBelow(path, keep)
    else if (keep(path)) yield path
  }
}

// ---- What cites ----

function requirements() {
  const found = new Map()
  const text = read(SPEC).replace(/\n(?![-\n#|`])\s*/g, ' ')
  for (const [, id, sentence] of text.matchAll(/^- \[(ASP-[A-Z]+-\d+)\] (.*)$/gm)) {
    const [, level] = sentence.match(/\b(MUST|SHOULD|MAY)\b/)
    const asked = Object.keys(DUTY).filter((role) => DUTY[role].test(sentence))
    found.set(id, { id, level, sentence: sentence.trim(), asked, server: [], client: [], code: [], tests: [], mutants: [] })
  }
  return found
}

// "answer", "answer.after_ms", "server=kill": how rules speak of a step.
function traits(step) {
  const [verb] = Object.keys(step)
  return [verb, `${verb}=${step[verb]}`, ...Object.keys(step).slice(1).map((name) => `${verb}.${name}`)]
}

const isOneOf = (step, rules) => traits(step).some((trait) => rules.includes(trait))

function* flatten(steps) {
  for (const step of steps) {
    yield step
    for (const branch of [step.steps ?? [], ...(step.parallel ?? [])]) yield* flatten(branch)
  }
}

// The ids for which some step of these can fail; `own` is what a step without a citation stands for.
function* citedBy(steps, own) {
  for (const step of steps) {
    const id = step.requirement ?? own
    if (!isOneOf(step, CANNOT_FAIL) && (step.requirement || !isOneOf(step, FAILS_AS_CITED))) yield id
    for (const branch of [step.steps ?? [], ...(step.parallel ?? [])]) yield* citedBy(branch, id)
  }
}

function readScenarios(folder) {
  const keep = (path) => path.endsWith('.json') && !path.endsWith('.schema.json')
  return [...filesBelow(folder, keep)].map((path) => {
    const { requirements, steps } = JSON.parse(read(path))
    return { name: relative(folder, path).replace(/\.json$/, ''), path, claims: requirements ?? [], covers: new Set(citedBy(steps, requirements?.[0])), steps: [...flatten(steps)] }
  })
}

// What the harness checks of its own accord: {id, path, where}; `where` null: in every scenario.
function readDuties(holes) {
  const duties = []
  for (const name of readdirSync(join(ROOT, HARNESS)).filter((name) => name.endsWith('.c'))) {
    const path = `${HARNESS}/${name}`
    const code = read(path).replace(/\/\*.*?\*\//gs, '').replace(/DUTY_IN_STORMS\(\s*"ASP-[A-Z]+-\d+"\s*\)/g, '')
    const plain = code.replace(/DUTY(?:_AT\(\s*"([^"]*)",|\()\s*"(ASP-[A-Z]+-\d+)"\s*\)/g, (_, where, id) => {
      duties.push({ id, path, where: where?.split(' ') ?? null })
      return ''
    })
    for (const id of ids(plain, /(?<!\\)"(ASP-[A-Z]+-\d+)"/g)) holes.push(`${path} cites ${id} by none of the macros of duty.h`)
  }
  return duties
}

const ids = (text, pattern) => new Set([...text.matchAll(pattern)].map(([, id]) => id))

function collect() {
  const all = requirements()
  const holes = []
  const add = (id, list, name, where) => {
    if (id === CONTRACT) return
    const requirement = all.get(id)
    if (!requirement) holes.push(`${where} cites ${id}, which the specification does not have`)
    else if (!requirement[list].includes(name)) requirement[list].push(name)
  }
  const duties = readDuties(holes)
  for (const { id, path } of duties) if (!all.has(id)) holes.push(`${path} cites ${id}, which the specification does not have`)
  for (const [role, folder] of Object.entries(FOLDERS)) {
    const own = duties.filter(({ id }) => all.has(id) && DUTY[role].test(all.get(id).sentence))
    for (const { id, path, where } of own) if (!where) add(id, role, 'every scenario', path)
    for (const { name, path, claims, covers, steps } of readScenarios(folder)) {
      if (claims.length === 0) holes.push(`${path} cites no requirement`)
      const checked = own.filter(({ where }) => !where || steps.some((step) => isOneOf(step, where))).map(({ id }) => id)
      for (const id of claims) {
        if (!all.has(id) && id !== CONTRACT) add(id, role, name, path)
        else if (!covers.has(id) && !checked.includes(id)) holes.push(`${path} claims ${id}, for which no step of it can fail`)
      }
      for (const id of covers) {
        add(id, role, name, path)
        if (!claims.includes(id)) holes.push(`${path} can fail for ${id} and does not list it`)
      }
      for (const { id, where } of own) if (where && checked.includes(id)) add(id, role, name, path)
    }
  }
  for (const folder of CODE) {
    for (const path of filesBelow(folder, (path) => /\.[ch]$/.test(path))) {
      const list = /\/(tests|fuzz)\//.test(path) ? 'tests' : 'code'
      for (const id of ids(read(path), /\[(ASP-[A-Z]+-\d+)\]/g)) add(id, list, path, path)
    }
  }
  for (const path of filesBelow('fixtures/mutants', (path) => /\.(patch|mjs)$/.test(path))) {
    const [, breaks = ''] = read(path).match(/^(?:\/\/ )?Breaks: (.*)$/m) ?? []
    for (const id of breaks.split(/[ ,]+/).filter(Boolean)) add(id, 'mutants', path.replace('fixtures/mutants/', ''), path)
  }
  return { all, holes }
}

// ---- What is missing ----

// An excuse that names whom it asks must name the subject of the sentence.
function misnames(excuse, sentence) {
  const asked = Object.keys(ASKED).find((name) => excuse?.startsWith(`Asked of ${name},`))
  return asked ? !ASKED[asked].test(sentence) : Boolean(excuse?.startsWith('Asked of '))
}

function judge({ all, holes }) {
  const { scenarios, servers, clients, partly, code } = JSON.parse(read(UNTESTED))
  for (const [name, list] of Object.entries({ scenarios, servers, clients, partly, code })) {
    for (const id of Object.keys(list)) if (!all.has(id)) holes.push(`${UNTESTED}: ${id} in ${name} is not in the specification`)
  }
  for (const requirement of all.values()) {
    const { id, level, asked, server, client } = requirement
    const isCovered = server.length + client.length > 0
    requirement.untested = scenarios[id] ?? null
    requirement.partly = partly[id] ?? null
    for (const [role, excuses] of [['server', servers], ['client', clients]]) {
      const isShown = requirement[role].length > 0
      if (excuses[id] && (isShown || !asked.includes(role))) holes.push(`${id} needs no excuse for ${role}s in ${UNTESTED}`)
      if (asked.length === 2 && !isShown && isCovered && !excuses[id] && level !== 'MAY') holes.push(`${id} (${level}) is asked of ${role}s, too: no scenario for ${role}s can fail for it`)
      if (excuses[id]) requirement[`${role}Untested`] = excuses[id]
    }
    if (requirement.partly && !isCovered) holes.push(`${id} is not covered at all: ${UNTESTED} says that it is in part`)
    requirement.uncoded = code[id] ?? null
    for (const excuse of [requirement.untested, requirement.uncoded]) {
      if (misnames(excuse, requirement.sentence)) holes.push(`${id}: ${UNTESTED} says "${excuse}", but the sentence begins "${requirement.sentence.slice(0, 24)}…"`)
    }
    if (isCovered && requirement.untested) holes.push(`${id} is covered: ${UNTESTED} need not excuse it`)
    if (!isCovered && !requirement.untested && level !== 'MAY') holes.push(`${id} (${level}): no scenario can fail for it`)
    if (requirement.code.length > 0 && requirement.uncoded) holes.push(`${id} is cited by code: ${UNTESTED} need not excuse it`)
    if (requirement.code.length === 0 && !requirement.uncoded && level !== 'MAY') holes.push(`${id} (${level}): no reference code cites it`)
  }
  return { requirements: [...all.values()], holes }
}

// ---- Telling ----

const few = (list, most = 3) => list.length <= most ? list.join(' ') : `${list.slice(0, most).join(' ')} +${list.length - most}`

function summary({ requirements, holes }) {
  const count = (keep) => requirements.filter(keep).length
  return `${requirements.length} requirements: ${count(({ server }) => server.length)} covered by scenarios for servers, ` +
    `${count(({ client }) => client.length)} by scenarios for clients, ${count(({ untested }) => untested)} excused; ` +
    `${count(({ code }) => code.length)} cited by code, ${count(({ mutants }) => mutants.length)} broken by mutants; ${holes.length} ${holes.length === 1 ? 'hole' : 'holes'}`
}

// "server: x y +3" for each kind of evidence that there is, or the reason why there is none.
function* evidenceOf({ server, client, code, tests, mutants, untested, serverUntested, clientUntested, partly, uncoded }) {
  for (const [name, list, reason] of [['servers', server, serverUntested], ['clients', client, clientUntested], ['scenarios', [], untested], ['in part', [], partly], ['code', code, uncoded], ['unit tests', tests], ['mutants', mutants]]) {
    if (list.length > 0 || reason) yield { name, list, reason }
  }
}

function printTable({ requirements }) {
  for (const requirement of requirements) {
    console.log(`${requirement.id}  ${requirement.sentence}`)
    for (const { name, list, reason } of evidenceOf(requirement)) console.log(`    ${name}: ${list.length > 0 ? few(list) : reason}`)
  }
}

// The page looks like the report of a run.
const STYLE = `${read('conformance/page.css')}
section { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 0 2rem; padding: .8rem 0; border-bottom: 1px solid var(--line) }
section[hidden] { display: none }
section h2 { font-size: 1rem; margin: 0 }
section p { margin: 0 }
section dl { align-content: start; gap: .1rem .75rem; margin: 0 }
section i { font-style: normal; color: var(--dim) }
@media (max-width: 46rem) { section { grid-template-columns: minmax(0, 1fr) } }
`
const SCRIPT = `const q = document.getElementById('q')
const sections = [...document.querySelectorAll('section')].map((section) => [section, section.textContent.toLowerCase()])
q.form.hidden = false
q.form.onsubmit = (event) => event.preventDefault()
q.oninput = () => {
  const wanted = q.value.trim().toLowerCase()
  for (const [section, words] of sections) section.hidden = !words.includes(wanted)
  document.querySelector('output').textContent = wanted && sections.filter(([{ hidden }]) => !hidden).length + ' of ' + sections.length
}`
const REPORTS = '<p>The last run: <a href="servers.html">scenarios for servers</a>, <a href="clients.html">for clients</a>.</p>'
const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
const prose = (text) => escape(text).replace(/`([^`]+)`/g, '<code>$1</code>')

// `reports` holds the texts of the reports that a scenario may lead to, by kind.
function item(kind, text, reports) {
  const code = `<code>${escape(text)}</code>`
  return reports[kind]?.includes(`id="${text}"`) ? `<a href="${kind}.html#${text}">${code}</a>` : code
}

function evidence(requirement, reports) {
  return [...evidenceOf(requirement)].map(({ name, list, reason }) =>
    `<dt>${name}<dd>${list.length > 0 ? list.map((text) => item(name, text, reports)).join(', ') : `<i>${prose(reason)}</i>`}`).join('')
}

function page(result, reports) {
  const sections = result.requirements.map((requirement) =>
    `<section class="linked" id="${requirement.id}"><div><h2>${requirement.id}</h2><p>${prose(requirement.sentence)}</p></div><dl>${evidence(requirement, reports)}</dl></section>`)
  return '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">' +
    `<title>Requirements – Athena Sync</title>\n<style>${STYLE}</style></head>\n<body><header><p class="dim">Athena Sync Protocol</p>\n` +
    `<h1>Requirements, and what shows them</h1>\n<p>${summary(result)}.</p>${reports.servers ? REPORTS : ''}` +
    result.holes.map((hole) => `<p class="fail">${escape(hole)}</p>`).join('') +
    '</header>\n<nav aria-label="Filter"><form hidden><input id="q" type="search" placeholder="id, word, scenario or file" aria-label="Filter"><output for="q"></output></form></nav>\n' +
    `<main>${sections.join('\n')}</main>\n<script>${SCRIPT}</script></body></html>\n`
}

function main() {
  const { values } = parseArgs({ options: { json: { type: 'string' }, html: { type: 'string' }, reports: { type: 'boolean' }, quiet: { type: 'boolean' } } })
  const result = judge(collect())
  if (!values.quiet) printTable(result)
  for (const hole of result.holes) console.log(hole)
  console.log(summary(result))
  if (values.json) writeFileSync(values.json, JSON.stringify(result, null, 2) + '\n')
  const beside = (name) => readFileSync(join(dirname(values.html), name), 'utf8')
  const reports = values.reports ? { servers: beside('servers.html'), clients: beside('clients.html') } : {}
  if (values.html) writeFileSync(values.html, page(result, reports))
  process.exitCode = result.holes.length > 0 ? 1 : 0
}

try {
  main()
} catch (error) {
  console.error(`trace.mjs: ${error.message}`)
  process.exitCode = 2
}

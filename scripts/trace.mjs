#!/usr/bin/env node
// From each requirement of the specification to the scenarios, the code and the mutants that cite it, and
// back: a table, with what is missing. Exit: 0 no hole, 1 holes, 2 usage.
//
//   trace.mjs [--json FILE] [--html FILE] [--all]
//
// A scenario covers a requirement only when a step of it can fail for it: the step cites it, or cites
// nothing and the requirement is the first of the scenario; or the harness checks it of every message.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SPEC = 'spec/athena-sync-1.md'
const UNTESTED = 'spec/untested.json'
const CODE = ['protocol', 'reference-server', 'reference-client']
// The harness cites what it checks of its own accord, in every scenario of those whose duty it is.
const HARNESS = 'conformance'
const DUTY = { server: /^An? (?:server|sender|receiver|side) /, client: /^An? (?:client|sender|receiver|side) / }
// Whom an excuse may say that a requirement is asked of, and how its sentence then begins.
const ASKED = { operators: /^An operator /, applications: /^An application /, 'those who define extensions': /^An extension / }
// Verbs that only prepare, and cannot fail for what the implementation does.
const SETTING = ['document', 'change', 'changes', 'let', 'send', 'send_text', 'send_frames', 'send_bytes', 'send_fragmented', 'disconnect', 'stop_reading', 'resume_reading', 'repeat', 'if', 'parallel', 'device', 'add', 'log', 'serve']

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
    found.set(id, { id, level, sentence: sentence.trim(), server: [], client: [], code: [], tests: [], mutants: [] })
  }
  return found
}

// The ids for which some step of these can fail; `own` is what a step without a citation stands for.
function* citedBy(steps, own) {
  for (const step of steps) {
    const verb = Object.keys(step)[0]
    const id = step.requirement ?? own
    if (step.requirement || !SETTING.includes(verb)) yield id
    for (const branch of [step.steps ?? [], ...(step.parallel ?? [])]) yield* citedBy(branch, id)
  }
}

function readScenarios(folder) {
  const keep = (path) => path.endsWith('.json') && !path.endsWith('.schema.json')
  return [...filesBelow(folder, keep)].map((path) => {
    const { requirements, steps } = JSON.parse(read(path))
    return { name: relative(folder, path).replace(/\.json$/, ''), path, claims: requirements ?? [], covers: new Set(citedBy(steps, requirements?.[0])) }
  })
}

const ids = (text, pattern) => new Set([...text.matchAll(pattern)].map(([, id]) => id))

function collect() {
  const all = requirements()
  const holes = []
  const add = (id, list, name, where) => {
    const requirement = all.get(id)
    if (!requirement) holes.push(`${where} cites ${id}, which the specification does not have`)
    else if (!requirement[list].includes(name)) requirement[list].push(name)
  }
  const harness = readdirSync(join(ROOT, HARNESS)).filter((name) => name.endsWith('.c')).map((name) => `${HARNESS}/${name}`)
  for (const [role, folder] of [['server', 'fixtures/scenarios'], ['client', 'fixtures/client-scenarios']]) {
    for (const { name, path, claims, covers } of readScenarios(folder)) {
      if (claims.length === 0) holes.push(`${path} cites no requirement`)
      for (const id of claims) if (!all.has(id)) add(id, role, name, path)
      for (const id of covers) add(id, role, name, path)
    }
    for (const path of harness) {
      for (const id of ids(read(path), /"(ASP-[A-Z]+-\d+)"/g)) {
        if (!all.has(id) || DUTY[role].test(all.get(id).sentence)) add(id, role, 'every scenario', path)
      }
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
  const { scenarios, code } = JSON.parse(read(UNTESTED))
  for (const [name, list] of Object.entries({ scenarios, code })) {
    for (const id of Object.keys(list)) if (!all.has(id)) holes.push(`${UNTESTED}: ${id} in ${name} is not in the specification`)
  }
  for (const requirement of all.values()) {
    const { id, level, server, client } = requirement
    const isCovered = server.length + client.length > 0
    requirement.untested = scenarios[id] ?? null
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
    `${count(({ code }) => code.length)} cited by code, ${count(({ mutants }) => mutants.length)} broken by mutants; ${holes.length} holes`
}

function printTable({ requirements }) {
  for (const { id, level, server, client, code, mutants, untested } of requirements) {
    console.log(`${id.padEnd(15)} ${level.padEnd(7)} server: ${few(server) || '-'}; client: ${few(client) || '-'}; code: ${few(code) || '-'}; mutants: ${few(mutants) || '-'}${untested ? `; untested: ${untested}` : ''}`)
  }
}

const STYLE = ':root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:80rem;padding:0 1rem;background:Canvas;color:CanvasText}' +
  'section{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,1fr);gap:0 2rem;padding:.8rem 0;border-top:1px solid #8886}' +
  'section[hidden]{display:none}h2{font-size:1rem;margin:0}p{margin:0 0 .3rem}dl{display:grid;grid-template-columns:5rem minmax(0,1fr);align-content:start;gap:.1rem .75rem;margin:0}' +
  'dt{opacity:.7}dd{margin:0;overflow-wrap:anywhere}code{font:13px/1.5 ui-monospace,monospace}.hole{color:#d33}i{opacity:.7}' +
  'input{font:inherit;color:inherit;background:Canvas;border:1px solid #8888;border-radius:6px;padding:.35rem .6rem;margin:1rem 0;width:min(30rem,100%);box-sizing:border-box}' +
  '@media(max-width:50rem){section{grid-template-columns:minmax(0,1fr)}dl{margin-top:.5rem}}'
const SCRIPT = "q.oninput=()=>{for(const s of document.querySelectorAll('section'))s.hidden=!s.textContent.toLowerCase().includes(q.value.toLowerCase())}"
const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
const prose = (text) => escape(text).replace(/`([^`]+)`/g, '<code>$1</code>')

function evidence({ server, client, code, tests, mutants, untested, uncoded }) {
  const row = (name, list, reason) => list.length > 0 ? `<dt>${name}<dd>${list.map((item) => `<code>${escape(item)}</code>`).join(', ')}` : reason ? `<dt>${name}<dd><i>${prose(reason)}</i>` : ''
  return row('servers', server) + row('clients', client) + row('scenarios', [], untested) + row('code', code, uncoded) + row('unit tests', tests) + row('mutants', mutants)
}

function page(result) {
  const sections = result.requirements.map((requirement) =>
    `<section id="${requirement.id}"><div><h2>${requirement.id}</h2><p>${prose(requirement.sentence)}</p></div><dl>${evidence(requirement)}</dl></section>`)
  return '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">' +
    `<title>Athena Sync: requirements</title><style>${STYLE}</style><h1>Requirements, and what shows them</h1><p>${summary(result)}.</p>` +
    result.holes.map((hole) => `<p class="hole">${escape(hole)}</p>`).join('') +
    `<input id="q" type="search" placeholder="an id, a word, a scenario, a file" aria-label="Filter">${sections.join('\n')}<script>${SCRIPT}</script></html>\n`
}

function main() {
  const { values } = parseArgs({ options: { json: { type: 'string' }, html: { type: 'string' }, all: { type: 'boolean' } } })
  const result = judge(collect())
  if (values.all) printTable(result)
  for (const hole of result.holes) console.log(hole)
  console.log(summary(result))
  if (values.json) writeFileSync(values.json, JSON.stringify(result, null, 2) + '\n')
  if (values.html) writeFileSync(values.html, page(result))
  process.exitCode = result.holes.length > 0 ? 1 : 0
}

try {
  main()
} catch (error) {
  console.error(`trace.mjs: ${error.message}`)
  process.exitCode = 2
}

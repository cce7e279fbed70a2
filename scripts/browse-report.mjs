#!/usr/bin/env node
// The suite's HTML report, and the page of `make trace`, in a real browser at the width of a desk and of a
// phone, light and dark: nothing wider than the window, each text with enough contrast, what a failure must
// show, the filter, links, keys, the copied command; without the script; and with what a hostile server
// sends. Pictures are left in $BUILD/report-page, for people to look at.
//
//   browse-report.mjs [green|client|broken|known|hostile|trace]...
//
// Needs Debian's chromium and `make interop-deps`.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const { chromium } = createRequire(new URL('../interop/package.json', import.meta.url))('playwright-core')
const ROOT = fileURLToPath(new URL('..', import.meta.url))
const BUILD = resolve(process.env.ATHENA_BUILD ?? join(ROOT, 'build'))
const PICTURES = join(BUILD, 'report-page')
const WIDTHS = [1280, 390]
const SCHEMES = ['light', 'dark']
// All for the pages that have something of everything; each width and each scheme once for the others.
const VIEWS = WIDTHS.flatMap((width) => SCHEMES.map((scheme) => ({ width, scheme })))
const SOME_VIEWS = [VIEWS[0], VIEWS.at(-1)]
const CONTRAST_MIN = 4.5 // WCAG 2.2, 1.4.3 (AA)
const PATIENCE_MS = 120_000 // it only ends what has failed
const LANES = 2 // pages looked at side by side
const SCENARIO_BYTES_MAX = 16_000 // of a page, for each scenario in it

// ---- Runs of the suite, and their pages ----

const work = mkdtempSync(join(tmpdir(), 'athena-report-'))
process.on('exit', () => rmSync(work, { recursive: true, force: true }))

const SYNCD = `${BUILD}/athena-syncd --listen 127.0.0.1:{port} --data {dir}`
const SETTINGS = '--quota-document-bytes {quota} --open-within-ms {open_within_ms} --idle-ms {idle_ms} --dead-ms {dead_ms} --limit-change {limit_change} [--token-file {token_file}]'
const DRIVER = `${BUILD}/athena-sync watch {dir} --key {key} --url {url} --offline --patience-ms {patience_ms}`
const script = (path) => `node ${join(ROOT, path)} {port}`

writeFileSync(join(work, 'known'), 'handshake/recommended-limits  ASP-LIM-5  Our pages are small.\n')

// By the exit status that each has.
const RUNS = {
  green: [0, 'server', '--exec', `${SYNCD} ${SETTINGS}`],
  client: [0, 'client', '--driver', DRIVER, 'cut/*'],
  broken: [1, 'server', '--exec', script('fixtures/mutants/cheats/stores-nothing.mjs')],
  known: [3, 'server', '--exec', `${SYNCD} --limit-batch 50`, '--expect-failures', join(work, 'known')],
  // These scenarios start a server each.
  hostile: [1, 'server', '--exec', `${script('scripts/hostile-server.mjs')} ${join(work, 'turns')}`, '--jobs', '2', 'durability/*']
}
const TIMEOUTS_S = { broken: '2', hostile: '20' } // of those that wait in vain

/** Status and output. */
function run(command, args) {
  return new Promise((done) => {
    execFile(command, args, { cwd: ROOT, maxBuffer: 1 << 28 }, (error, out, err) => done({ status: error ? error.code : 0, text: out + err }))
  })
}

/** The page of a run, with its results as a program reads them; or that of the requirements. */
async function makePage(name) {
  const html = join(work, `${name}.html`)
  const json = join(work, `${name}.json`)
  if (name === 'trace') {
    await run('node', ['scripts/trace.mjs', '--html', html])
    return { name, path: html }
  }
  const [wanted, role, ...rest] = RUNS[name]
  const { status, text } = await run(join(BUILD, 'athena-conform'), [role, '--timeout', TIMEOUTS_S[name] ?? '60', ...rest, '--report', `html=${html}`, '--report', `json=${json}`])
  assert.equal(status, wanted, `${name}: ${text}`)
  return { name, path: html, ...JSON.parse(readFileSync(json, 'utf8')) }
}

// ---- The browser ----

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-quic'] })

/** Opens a page, does what is to be done, and sees that no script failed and nothing was asked for elsewhere. */
async function look(report, { width = 1280, scheme = 'light', hash = '', script = true }, body) {
  const context = await browser.newContext({ viewport: { width, height: width > 800 ? 1000 : 844 }, colorScheme: scheme, javaScriptEnabled: script })
  const page = await context.newPage()
  page.setDefaultTimeout(PATIENCE_MS)
  const wrong = []
  const url = `file://${report.path}`
  page.on('pageerror', (error) => wrong.push(error.message))
  page.on('console', (message) => message.type() === 'error' && wrong.push(message.text()))
  page.on('request', (request) => request.url().split('#')[0] !== url && wrong.push(`asks for ${request.url()}`))
  try {
    await page.goto(url + hash)
    await body(page)
    assert.deepEqual(wrong, [])
  } catch (error) {
    await page.screenshot({ path: join(PICTURES, 'failed.png') }).catch(() => {})
    throw new Error(`${report.name}${hash} at ${width}, ${scheme}, script: ${script}`, { cause: error })
  } finally {
    await context.close()
  }
}

const openAll = (page) => page.evaluate(() => {
  for (const details of document.querySelectorAll('details')) details.open = true
})

// ---- What is looked at ----

/** Runs in the page: what is wrong with its layout. */
function faultsOfLayout(width) {
  const faults = []
  const root = document.documentElement
  if (innerWidth !== width) faults.push(`the window is ${innerWidth} wide`)
  if (root.scrollWidth > width) faults.push(`the page is ${root.scrollWidth} wide`)
  for (const cell of document.querySelectorAll('td, dd, section > div, p')) {
    const { width: has } = cell.getBoundingClientRect()
    const longest = Math.max(...cell.textContent.split(/[\s/-]+/).map((word) => Math.min(word.length, 12)))
    if (has > 0 && has < longest * 6) faults.push(`"${cell.textContent.slice(0, 40)}" has ${has} pixels`)
  }
  for (const line of document.querySelectorAll('.scenario > summary, p.scenario')) {
    const boxes = [...line.children].map((part) => {
      const range = document.createRange()
      range.selectNodeContents(part)
      return range.getBoundingClientRect()
    }).filter((box) => box.width > 0)
    const isHit = boxes.some((a, i) => boxes.some((b, j) => i < j && a.left < b.right && b.left < a.right && a.top < b.bottom - 1 && b.top < a.bottom - 1))
    if (isHit) faults.push(`texts lie over each other in "${line.textContent.trim()}"`)
  }
  for (const drawing of document.querySelectorAll('.seq')) {
    const { left } = drawing.getBoundingClientRect()
    const right = Math.max(...[...drawing.querySelectorAll('line')].map((line) => line.getBoundingClientRect().right))
    for (const item of drawing.querySelectorAll('li')) {
      const range = document.createRange()
      range.selectNodeContents(item)
      if (item.querySelector('u')) range.setStartAfter(item.querySelector('u'))
      const words = range.getBoundingClientRect()
      if (words.width > 0 && words.left < right) faults.push(`the label "${item.textContent}" begins ${right - words.left} pixels within the drawing`)
      if (words.left < left) faults.push(`"${item.textContent}" begins outside`)
    }
  }
  return faults
}

/** Runs in the page: texts whose colour is too near to what is behind them. */
function faintTexts(least) {
  const rgba = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number)
    return { r, g, b, a }
  }
  const over = (front, back) => Object.fromEntries(['r', 'g', 'b'].map((c) => [c, front[c] * front.a + back[c] * (1 - front.a)]))
  const luminance = ({ r, g, b }) => [r, g, b].map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0)
  const behind = (element) => {
    const layers = []
    for (let at = element; at; at = at.parentElement) layers.unshift(rgba(getComputedStyle(at).backgroundColor))
    return layers.reduce((back, front) => over(front, back), { r: 255, g: 255, b: 255 })
  }
  const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
  const faint = new Set()
  let looked = 0
  const judge = (element, colour, text) => {
    const back = behind(element)
    const has = ratio(luminance(over(rgba(colour), back)), luminance(back))
    looked++
    if (has < least) faint.add(`${element.tagName}.${element.getAttribute('class') ?? ''} "${text.trim().slice(0, 30)}": ${has.toFixed(2)}`)
  }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement
    if (walker.currentNode.data.trim() === '' || !element.checkVisibility() || element.closest('script')) continue
    const style = getComputedStyle(element)
    judge(element, element.closest('svg') ? style.fill : style.color, walker.currentNode.data)
  }
  for (const field of document.querySelectorAll('input')) judge(field, getComputedStyle(field, '::placeholder').color, field.placeholder)
  return looked === 0 ? ['no text was found'] : [...faint]
}

async function layout(report) {
  for (const { width, scheme } of ['green', 'broken'].includes(report.name) ? VIEWS : SOME_VIEWS) {
    await look(report, { width, scheme }, async (page) => {
      const name = `${report.name}-${width}-${scheme}`
      await page.screenshot({ path: join(PICTURES, `${name}.png`) })
      const first = page.locator('#failed .scenario').first()
      if (await first.count() > 0) await first.screenshot({ path: join(PICTURES, `${name}-failure.png`) })
      assert.deepEqual(await page.evaluate(faultsOfLayout, width), [])
      await openAll(page)
      assert.deepEqual(await page.evaluate(faultsOfLayout, width), [], 'with everything open')
      assert.deepEqual(await page.evaluate(faintTexts, CONTRAST_MIN), [])
    })
  }
}

/** Each failure shows all that the terminal shows, and few of them at once. */
async function failures(report) {
  await look(report, {}, async (page) => {
    const { y } = await page.locator('#broken h2').boundingBox()
    assert.ok(y < page.viewportSize().height, `what is broken begins at ${y}`)
    const colours = await page.locator('.counts a').evaluateAll((all) => all.map((a) => getComputedStyle(a).color))
    assert.ok(new Set(colours).size >= 3, `the counts have the colours ${colours}`)
    assert.ok(await page.locator('details.scenario[open]').count() <= 3, 'too many are open')
    assert.ok(await page.locator('#failed details.scenario[open]').count() >= 1, 'none is open')
    const failed = report.scenarios.filter(({ status }) => status === 'fail')
    const faults = report.scenarios.filter(({ status }) => status === 'harness error')
    assert.equal(await page.locator('#failed details.scenario').count(), failed.length + faults.length)
    await openAll(page)
    for (const { name, requirement, sentence, message, path, line, step, why, replay, expected, transcript } of failed) {
      const text = await page.locator(`[id="${name}"]`).innerText()
      const says = (part) => assert.ok(text.includes(part), `${name} does not show: ${part}`)
      const plain = sentence.replaceAll('`', '')
      for (const part of [requirement, plain, message, why, replay, expected ?? '', ...transcript ?? []]) says(part.trim())
      if (line > 0) for (const part of [`${path}:${line}`, step]) says(part)
    }
    assert.ok(await page.locator('#failed mark:visible').count() > 0, 'nothing is marked')
  })
}

/** What the run says of each requirement, judged from its results alone. */
async function matrix(report) {
  const broken = new Set(report.scenarios.filter(({ status }) => status === 'fail').map(({ requirement }) => requirement))
  const known = new Set(report.scenarios.filter(({ status }) => status === 'expected fail').map(({ requirement }) => requirement))
  const shown = new Set(report.scenarios.filter(({ status }) => status === 'pass').flatMap(({ requirements }) => requirements))
  const says = (id) => broken.has(id) ? '✗' : known.has(id) ? '~' : shown.has(id) ? '✓' : '–'
  const wanted = Object.keys(report.requirements).map((id) => `${says(id)} ${id}`).sort()
  await look(report, {}, async (page) => {
    const cells = await page.locator('.matrix tr td:first-child').allTextContents()
    assert.deepEqual(cells.map((text) => text.trim()).sort(), wanted)
  })
}

async function filter(report) {
  await look(report, {}, async (page) => {
    const visible = (what) => page.locator(`${what}:visible`)
    const shown = async (words, status = '') => {
      await page.locator('#q').fill(words)
      await page.locator('#s').selectOption(status)
      return visible('details.scenario').evaluateAll((found) => found.map(({ id }) => id))
    }
    const before = await page.evaluate(() => [...document.querySelectorAll('details')].map(({ open }) => open))
    const names = report.scenarios.map(({ name }) => name)
    const one = names.find((name) => names.every((other) => other === name || !other.includes(name)))
    assert.deepEqual(await shown(one.toUpperCase()), [one])
    assert.deepEqual(await shown('no such thing'), [])
    assert.equal(await page.locator('output').innerText(), '0 scenarios, 0 requirements')
    const id = report.scenarios.find(({ requirement }) => requirement)?.requirement ?? report.scenarios[0].requirements[0]
    const about = report.scenarios.filter(({ requirements, requirement }) => [...requirements, requirement].includes(id)).map(({ name }) => name)
    for (const spelled of [id, id.toLowerCase()]) {
      const found = await shown(spelled)
      assert.deepEqual(about.filter((name) => !found.includes(name)), [], `${spelled} hides them`)
      assert.equal(await visible(`tr[id="${id}"]`).count(), 1)
    }
    const classes = { 'fail error': ['fail', 'harness error'], expected: ['expected fail'], untested: ['unsupported', 'untestable'], pass: ['pass'] }
    for (const [status, statuses] of Object.entries(classes)) {
      const wanted = report.scenarios.filter((scenario) => statuses.includes(scenario.status)).map(({ name }) => name)
      assert.deepEqual((await shown('', status)).sort(), wanted.sort(), status)
    }
    await shown('')
    assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll('details')].map(({ open }) => open)), before)
  })
}

/** Links from outside and within, with the script and without. */
async function links(report, name) {
  for (const script of [true, false]) {
    await look(report, { hash: `#${name}`, script }, async (page) => {
      const scenario = page.locator(`[id="${name}"]`)
      await scenario.locator('.seq, .raw').first().waitFor({ state: 'visible' })
      const { y } = await scenario.boundingBox()
      assert.ok(y >= 0 && y < 300, `${name} is at ${y}`)
      assert.equal(await page.locator('nav form').isVisible(), script)
      assert.equal(await scenario.evaluate(({ open }) => open), script)
    })
  }
  await look(report, { hash: '#ASP-LIVE-1' }, (page) => page.locator('[id="ASP-LIVE-1"] td').first().waitFor({ state: 'visible' }))
  await look(report, {}, async (page) => {
    const dead = await page.evaluate(() => [...document.querySelectorAll('a')].map((a) => decodeURIComponent(a.hash.slice(1))).filter((id) => !document.getElementById(id)))
    assert.deepEqual(dead, [])
    const twice = await page.evaluate(() => [...document.querySelectorAll('[id]')].map(({ id }) => id).filter((id, i, all) => all.indexOf(id) !== i))
    assert.deepEqual(twice, [])
    await page.locator('nav a', { hasText: 'Requirements' }).click()
    await page.locator('#q').fill(name)
    await page.evaluate((id) => { location.hash = id }, 'ASP-LIVE-2')
    await page.locator('[id="ASP-LIVE-2"] td').first().waitFor({ state: 'visible' })
  })
}

async function keys(report) {
  await look(report, {}, async (page) => {
    await page.keyboard.press('Tab')
    assert.equal(await page.evaluate(() => document.activeElement.tagName), 'A')
    await page.keyboard.press('/')
    assert.equal(await page.evaluate(() => document.activeElement.id), 'q')
    await page.keyboard.type('/')
    assert.equal(await page.locator('#q').inputValue(), '/')
    await page.locator('#q').fill('')
    const family = page.locator('#scenarios > details').first()
    await family.locator('> summary').focus()
    await page.keyboard.press('Enter')
    const scenario = family.locator('details.scenario').first()
    await scenario.locator('> summary').focus()
    assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none')
    await page.keyboard.press('Enter')
    await scenario.locator('.body').waitFor({ state: 'visible' })
    assert.equal(decodeURIComponent(new URL(page.url()).hash), `#${await scenario.getAttribute('id')}`)
  })
}

/** Once with the browser's clipboard, once where it is refused. */
async function copying(report) {
  for (const refused of [false, true]) {
    await look(report, {}, async (page) => {
      await page.evaluate((isRefused) => {
        globalThis.copied = []
        const writeText = async (text) => {
          if (isRefused) throw new Error('refused')
          copied.push(text)
        }
        Object.defineProperty(navigator, 'clipboard', { value: { writeText } })
        document.addEventListener('copy', () => copied.push(String(getSelection())))
      }, refused)
      const button = page.locator('#failed button:visible').first()
      await button.click()
      await page.locator('button', { hasText: 'Copied' }).first().waitFor()
      const name = await page.locator('#failed details[open]').first().getAttribute('id')
      assert.deepEqual(await page.evaluate(() => copied), [report.scenarios.find((scenario) => scenario.name === name).replay])
    })
  }
}

async function printing(report) {
  await look(report, {}, async (page) => {
    const closed = () => page.locator('#failed details:not([open])').count()
    const before = await closed()
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' })
    await page.evaluate(() => dispatchEvent(new Event('beforeprint')))
    assert.equal(await closed(), 0)
    assert.equal(await page.locator('nav').isVisible(), false)
    assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), 'rgb(255, 255, 255)')
    assert.deepEqual(await page.evaluate(faintTexts, CONTRAST_MIN), [])
    await page.evaluate(() => dispatchEvent(new Event('afterprint')))
    assert.equal(await closed(), before)
    await page.pdf({ path: join(PICTURES, `${report.name}.pdf`), format: 'A4' })
    assert.equal(await closed(), before)
  })
}

/** The drawing of a killed process: its line ends, the row says so, and it goes on when it is started. */
async function kills(report, name, who) {
  for (const width of WIDTHS) {
    await look(report, { width, hash: `#${name}` }, async (page) => {
      const drawing = page.locator(`[id="${name}"] .seq`)
      await drawing.locator('li', { hasText: `${who} killed` }).first().waitFor({ state: 'visible' })
      await drawing.locator('li', { hasText: `${who} started` }).first().waitFor({ state: 'visible' })
      const places = await drawing.evaluate((seq, column) => {
        const middle = (element) => (element.getBoundingClientRect().left + element.getBoundingClientRect().right) / 2
        return [[...seq.querySelectorAll('text')].find(({ textContent }) => textContent === column), seq.querySelector('.x'), seq.querySelector('.off')].map(middle)
      }, who)
      for (const place of places) assert.ok(Math.abs(place - places[0]) < 3, `not in one column: ${places}`)
      await drawing.screenshot({ path: join(PICTURES, `kill-${report.name}-${width}.png`) })
    })
  }
}

async function leftOut(report) {
  const long = report.scenarios.find(({ omitted }) => omitted > 0)
  assert.ok(long, 'every transcript is whole')
  await look(report, { hash: `#${long.name}` }, (page) => page.locator(`[id="${long.name}"]`).getByText(`${long.omitted} earlier lines are left out`).waitFor({ state: 'visible' }))
}

/** Nothing that the server said or printed is more than text, and none of it turns text around. */
async function harmless(report) {
  await look(report, {}, async (page) => {
    await openAll(page)
    assert.deepEqual(await page.evaluate(() => ({
      hurt: globalThis.hurt,
      foreign: document.querySelectorAll('img, iframe, link, script[src], svg script').length,
      scripts: document.querySelectorAll('script').length,
      isTurned: /[\u200b-\u200f\u2028-\u202e\u2060-\u206f]/.test(document.body.textContent)
    })), { hurt: undefined, foreign: 0, scripts: 1, isTurned: false })
    const text = await page.locator('main').innerText()
    for (const part of ['</script><img', "\\xe2\\x80\\xae'"]) assert.ok(text.includes(part), `the page does not show ${part}`)
  })
}

async function trace(report) {
  await look(report, {}, async (page) => {
    const shown = async (words) => {
      await page.locator('#q').fill(words)
      return page.locator('section:visible').count()
    }
    assert.equal(await shown('asp-push-3'), 1)
    assert.equal(await shown('no such thing'), 0)
  })
}

/** Not larger than it need be, whatever a server sends. */
function weight({ name, path, scenarios }) {
  const { size } = statSync(path)
  console.log(`the page of the ${name} run has ${size} bytes, of ${scenarios.length} scenarios`)
  assert.ok(size < SCENARIO_BYTES_MAX * scenarios.length, 'that is too much')
}

// ---- All of it ----

const CHECKS = {
  green: [layout, matrix, filter, keys, leftOut, (page) => links(page, 'live/relay'),
    (page) => kills(page, 'durability/kill-after-pushed', 'server'), weight],
  client: [layout, matrix, (page) => kills(page, 'cut/push-lost-and-killed', 'phone')],
  broken: [layout, matrix, filter, failures, copying, printing,
    (page) => links(page, page.scenarios.findLast(({ status }) => status === 'fail').name)],
  known: [layout, matrix, filter],
  hostile: [layout, matrix, harmless, weight],
  trace: [layout, trace]
}

mkdirSync(PICTURES, { recursive: true })
const names = (process.argv.length > 2 ? process.argv.slice(2) : Object.keys(CHECKS)).values()
const lookAtNext = async () => {
  for (const name of names) {
    const page = await makePage(name)
    for (const check of CHECKS[name]) await check(page)
  }
}
try {
  await Promise.all(Array.from({ length: LANES }, lookAtNext))
} finally {
  await browser.close()
}

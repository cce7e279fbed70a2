// The page in Debian's Chromium, for tests: its server, a browser, and what a device of the page shows.
import test from 'node:test'
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { atEnd } from '../../test/at-end.mjs'

const WEB = fileURLToPath(new URL('..', import.meta.url))
export const BUILD = process.env.ATHENA_BUILD ?? join(WEB, '..', '..', 'build')
export const SERVERS = {
  'athena-syncd': `exec '${BUILD}/athena-syncd' --listen 127.0.0.1:0 --data`,
  'server.mjs': `exec '${process.execPath}' '${join(WEB, '..', 'server.mjs')}' --data`
}
const TIMEOUT = 90000 // ms; a busy machine takes long to start a browser

export function temporary(t) {
  const path = mkdtempSync(join(tmpdir(), 'athena-web-test-'))
  atEnd(t, () => rmSync(path, { recursive: true, force: true, maxRetries: 20 })) // Chromium's helpers outlive it by a moment
  return path
}

/** The page's server, with a sync server of its own that keeps its data in `data`; or, with `url`, with one that is there. */
export async function serve(t, { server = 'athena-syncd', data = temporary(t), options = '', url } = {}) {
  const sync = url === undefined ? ['--server', `${SERVERS[server]} '${data}' ${options}`] : ['--sync', url]
  const child = spawn(process.execPath, [join(WEB, 'serve.mjs'), ...sync], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  atEnd(t, () => (child.kill('SIGTERM'), ended))
  const [line] = await once(createInterface(child.stdout), 'line')
  return line.replace('open ', '')
}

// A browser with a profile of its own: what passes in it, and what goes wrong.
async function browse(t, options) {
  const browser = await chromium.launchPersistentContext(temporary(t), {
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
    ...options
  })
  atEnd(t, () => browser.close())
  const wrong = []
  const frames = []
  browser.on('page', (page) => {
    page.on('pageerror', (error) => wrong.push(error.message))
    page.on('console', (message) => message.type() === 'error' && wrong.push(message.text()))
    page.on('websocket', (socket) => {
      for (const event of ['framesent', 'framereceived']) socket.on(event, ({ payload }) => frames.push(String(payload)))
    })
  })
  return { browser, frames, wrong }
}

/**
 * A test in a browser of its own, in which nothing goes wrong beside what the test looks at, and what the
 * browser says to `expected`.
 */
export function inBrowser(name, { expected, ...options }, body) {
  test(name, { timeout: TIMEOUT }, async (t) => {
    const { browser, frames, wrong } = await browse(t, options)
    await body(t, browser, frames)
    assert.deepEqual(wrong.filter((text) => !expected?.test(text)), [])
  })
}

export const device = (page, number) => page.locator('.device').nth(number - 1)
export const field = (page, number) => device(page, number).locator('textarea')
export const line = (page, number) => device(page, number).locator('.line')

export const status = (page, number) => device(page, number).locator('.status')
export const detail = (page, number) => device(page, number).locator('.detail')
export const passing = (page, number) => page.locator('.passing').nth(number - 1)

/** Waits until a device of the page has this text and is in sync. */
export const settled = (page, number, text) => page.waitForFunction(([index, text]) => {
  const section = document.querySelectorAll('.device')[index]
  return section?.querySelector('textarea').value === text && section.querySelector('.status').textContent === 'in sync'
}, [number - 1, text])

/** Waits until an element holds what matches. */
export const says = (locator, pattern) => locator.filter({ hasText: pattern }).waitFor()

export async function openPage(browser, url, text = '') {
  const page = await browser.newPage()
  await page.goto(url)
  await settled(page, 2, text)
  return page
}

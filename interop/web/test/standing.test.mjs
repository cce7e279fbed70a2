// What the page says when something is wrong: a server that is gone or refuses, a browser that keeps nothing.
import test from 'node:test'
import assert from 'node:assert/strict'
import { atEnd } from '../../test/at-end.mjs'
import { scripted } from '../../test/client-kit.mjs'
import { startServer } from '../../server/server.mjs'
import { standing } from '../standing.mjs'
import { detail, device, field, inBrowser, line, openPage, passing, says, serve, settled, status, temporary } from './browser-kit.mjs'

async function sync(t, options = {}) {
  const server = await startServer({ data: temporary(t), ...options })
  atEnd(t, () => server.stop())
  return server
}

const FAILS = /WebSocket connection to .* failed/ // what Chromium says of it

inBrowser('a server that is gone is told, with the time of the next attempt, and found again', { expected: FAILS }, async (t, browser) => {
  const data = temporary(t)
  const server = await sync(t, { data })
  const page = await openPage(browser, await serve(t, { url: server.url }))
  await field(page, 1).fill('before')
  await settled(page, 2, 'before')
  await server.stop()
  await says(status(page, 1), 'no connection')
  await says(detail(page, 1), /next attempt in \d+ s/)
  await says(passing(page, 1).locator('.note').filter({ hasText: 'ended with 1001' }), 'the server is stopping')
  await says(passing(page, 1).locator('.note').filter({ hasText: 'tries again' }).last(), /in \d+\.\d s/)
  await field(page, 1).fill('meanwhile')
  await says(detail(page, 1), /, 1 to send$/)
  await sync(t, { data, port: server.port })
  const retry = device(page, 1).locator('.retry')
  for (let tries = 0; await status(page, 1).textContent() !== 'in sync' && tries < 20; tries++) await retry.click({ timeout: 2000 }).catch(() => {})
  await settled(page, 2, 'meanwhile')
})

inBrowser('a change that the server refuses is told, and the device is never called in sync', {}, async (t, browser) => {
  const page = await openPage(browser, await serve(t, { server: 'server.mjs', options: '--limit-change 1024' }))
  await field(page, 1).fill(Array.from({ length: 400 }, (_, i) => String.fromCodePoint(0x4e00 + i * 37)).join(''))
  await says(status(page, 1), 'not in sync')
  await says(detail(page, 1), /^the server refuses 1 change, kept on this device alone; 1 change on this device$/)
  await status(page, 1).evaluate((element) => {
    window.kinds = []
    new MutationObserver(() => window.kinds.push(element.dataset.kind)).observe(element, { attributes: true })
  })
  await field(page, 1).press('End')
  await field(page, 1).pressSequentially('!')
  await says(detail(page, 1), /2 changes on this device$/)
  const kinds = await page.evaluate(() => window.kinds)
  assert.ok(kinds.length > 0 && !kinds.includes('in-sync'), kinds.join())
  await page.reload()
  await says(status(page, 1), 'not in sync')
  await says(device(page, 1).locator('.spoken'), /^Device 1: not in sync, the server refuses 1 change/)
})

inBrowser('a server that admits nobody by this name is told', {}, async (t, browser) => {
  const server = await sync(t, { names: ['other.example'] })
  const page = await browser.newPage()
  await page.goto(await serve(t, { url: server.url }))
  await says(detail(page, 2), /\(wrong-authority\)/)
  assert.equal(await status(page, 2).getAttribute('data-kind'), 'trouble')
})

inBrowser('a server that speaks something else is told', {}, async (t, browser) => {
  const { url } = await scripted(t, { answer: (request, { socket }) => (socket.send('nonsense'), null) })
  const page = await browser.newPage()
  await page.goto(await serve(t, { url }))
  await says(passing(page, 1).locator('.note.bad').first(), 'something came that is no message')
  await says(detail(page, 1), /\(server-fault\)/)
})

inBrowser('what the browser does not keep is told, and kept with the next edit', {}, async (t, browser) => {
  const page = await openPage(browser, await serve(t))
  await page.evaluate(() => {
    const { add } = IDBObjectStore.prototype
    IDBObjectStore.prototype.add = () => { throw new DOMException('the disk is full', 'QuotaExceededError') }
    window.mend = () => { IDBObjectStore.prototype.add = add }
  })
  await field(page, 1).press('a')
  await says(detail(page, 1), /^this browser could not keep what was written last: the disk is full/)
  assert.equal(await status(page, 1).getAttribute('data-kind'), 'trouble')
  await page.evaluate(() => window.mend())
  await field(page, 1).press('b')
  await settled(page, 2, 'ab')
  await settled(page, 1, 'ab')
})

inBrowser('who listens hears of what lasts, not of each letter', {}, async (t, browser) => {
  const page = await openPage(browser, await serve(t))
  await page.evaluate(() => {
    window.heard = []
    for (const spoken of document.querySelectorAll('.spoken')) {
      new MutationObserver(() => window.heard.push(spoken.textContent)).observe(spoken, { childList: true })
    }
  })
  await field(page, 1).pressSequentially('many letters')
  await settled(page, 2, 'many letters')
  await line(page, 1).click()
  await says(status(page, 1), 'offline')
  await line(page, 1).click()
  await settled(page, 1, 'many letters')
  assert.deepEqual(await page.evaluate(() => window.heard), ['Device 1: offline', 'Device 1: in sync'])
})

test('a device with nothing wrong is green only when both sides hold the same', () => {
  const calm = { isOnline: true, retryMs: 0, fault: null, unkept: null }
  const good = { changes: 3, pending: 0, refused: 0, quarantined: 0, conflicts: 0, connected: true, in_sync: true }
  const kind = (more, state = {}) => standing({ ...calm, ...more }, { ...good, ...state }).kind
  assert.equal(kind({}), 'in-sync')
  assert.equal(kind({}, { in_sync: false }), 'syncing')
  assert.equal(kind({}, { in_sync: false, connected: false }), 'connecting')
  assert.equal(kind({ retryMs: 9 }, { in_sync: false, connected: false }), 'no-connection')
  assert.equal(kind({ isOnline: false }), 'offline')
  assert.equal(kind({ fault: 'x' }), 'trouble')
  assert.equal(kind({ unkept: 'x' }), 'trouble')
  assert.equal(kind({}, { refused: 1 }), 'trouble')
  assert.equal(kind({}, { quarantined: 1 }), 'odd')
  assert.equal(kind({}, { conflicts: 1 }), 'odd')
})

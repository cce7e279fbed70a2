// The page in Debian's Chromium, with real servers: two devices, cut connections, a second tab, a reload.
import test from 'node:test'
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { BUILD, device, field, inBrowser, line, openPage, serve, SERVERS, settled, temporary } from './browser-kit.mjs'
import { encode } from '../../lib/base64url.mjs'
import { deriveKeys, newSecret } from '../../lib/keys.mjs'
import { difference } from '../text.mjs'

const SENTENCE = 'Nobody else reads this sentence.'

function* filesOf(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* filesOf(path)
    else if (entry.isFile()) yield path
  }
}

for (const server of Object.keys(SERVERS)) {
  inBrowser(`two devices write through ${server}, offline as well, and agree`, {}, async (t, browser, frames) => {
    const data = temporary(t)
    const page = await openPage(browser, await serve(t, { server, data }))

    await field(page, 1).pressSequentially(SENTENCE)
    await settled(page, 2, SENTENCE)
    await field(page, 2).press('End')
    await field(page, 2).pressSequentially(' Nor this.')
    await settled(page, 1, `${SENTENCE} Nor this.`)

    await line(page, 1).click()
    await line(page, 2).click()
    await field(page, 1).fill(`First 👋. ${SENTENCE} Nor this.`)
    await field(page, 2).fill(`${SENTENCE} Nor this. Last 🌍.`)
    assert.equal(await device(page, 1).locator('.status').textContent(), 'offline, 1 to send')
    await line(page, 1).click()
    await line(page, 2).click()
    const text = `First 👋. ${SENTENCE} Nor this. Last 🌍.`
    await settled(page, 1, text)
    await settled(page, 2, text)

    const words = ['Nobody', 'sentence', new URL(page.url()).hash.slice(1)]
    const seen = [...filesOf(data)].map((path) => readFileSync(path, 'latin1')).concat(frames)
    assert.ok(frames.length > 20)
    for (const word of words) assert.ok(!seen.some((what) => what.includes(word)), `the server has seen ${word}`)
  })
}

inBrowser('a reload keeps what was written offline; a second tab gets devices of its own', {}, async (t, browser) => {
  const page = await openPage(browser, await serve(t))
  await field(page, 1).fill('kept')
  await settled(page, 2, 'kept')
  await line(page, 1).click()
  await field(page, 1).fill('kept, unsent too')
  await page.waitForFunction(() => document.querySelector('.status').textContent === 'offline, 1 to send')
  await page.reload()
  await settled(page, 1, 'kept, unsent too')
  await settled(page, 2, 'kept, unsent too')

  const tab = await openPage(browser, await page.locator('#share').getAttribute('href'), 'kept, unsent too')
  assert.deepEqual(await tab.locator('h2').allTextContents(), ['Device 3', 'Device 4'])
  await settled(tab, 1, 'kept, unsent too')
  await field(tab, 2).fill('from another tab')
  await settled(page, 1, 'from another tab')
})

inBrowser('the inspector shows what the server sees beside what the user sees', {}, async (t, browser) => {
  const page = await openPage(browser, await serve(t))
  await field(page, 1).fill('hello')
  await settled(page, 2, 'hello')
  const live = device(page, 2).locator('.messages details', { has: page.locator('b', { hasText: /^changed$/ }) })
  await live.locator('summary').click()
  await live.locator('td').first().waitFor()
  const cells = await live.locator('td').allTextContents()
  assert.match(cells[0], /^[0-9a-f]{8}… {2}A[\w-]{47}… \d+ bytes$/)
  assert.equal(cells[1], 'writes “hello”')
})

inBrowser('a document whose id begins with a dash is like others', {}, async (t, browser) => {
  let secret
  do secret = newSecret()
  while (!deriveKeys(secret).docText.startsWith('-'))
  await openPage(browser, `${await serve(t)}web/index.html#${encode(secret)}`)
})

inBrowser('a wrong secret is told, and nothing is opened', {}, async (t, browser) => {
  const page = await browser.newPage()
  await page.goto(`${await serve(t)}web/index.html#abc`)
  await page.locator('#failure:not([hidden])').waitFor()
  assert.equal(await page.locator('#failure').textContent(), 'This page cannot start: a document secret is 43 characters of canonical base64url')
  assert.equal(await page.locator('.device').count(), 0)
})

for (const width of [1280, 390]) {
  for (const colorScheme of ['light', 'dark']) {
    inBrowser(`it fits a window of ${width} pixels, ${colorScheme}; a picture is left in build/web`, { viewport: { width, height: 900 }, colorScheme }, async (t, browser) => {
      const pictures = join(BUILD, 'web')
      mkdirSync(pictures, { recursive: true })
      const page = await openPage(browser, await serve(t))
      await field(page, 1).pressSequentially('A shopping list: bread, cheese, apples')
      await settled(page, 2, 'A shopping list: bread, cheese, apples')
      await device(page, 2).locator('.messages summary').first().click()
      await line(page, 1).click()
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth))
      await page.screenshot({ path: join(pictures, `${width}-${colorScheme}.png`), fullPage: true })
    })
  }
}

test('a difference never cuts a character in two', () => {
  assert.deepEqual(difference('a👋b', 'a👌b'), { at: 1, removed: 2, inserted: '👌' })
  assert.deepEqual(difference('👋', '👋👋'), { at: 2, removed: 0, inserted: '👋' })
  assert.deepEqual(difference('🐋', '👋'), { at: 0, removed: 2, inserted: '👋' })
  assert.deepEqual(difference('aa', 'aaa'), { at: 2, removed: 0, inserted: 'a' })
  assert.deepEqual(difference('abc', ''), { at: 0, removed: 3, inserted: '' })
  assert.deepEqual(difference('same', 'same'), { at: 4, removed: 0, inserted: '' })
})

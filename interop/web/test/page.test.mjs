// The page in Debian's Chromium, with real servers: two devices, cut connections, a second tab, a reload.
import test from 'node:test'
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { BUILD, detail, field, inBrowser, line, openPage, passing, says, serve, SERVERS, settled, status, temporary } from './browser-kit.mjs'
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
    assert.equal(await status(page, 1).textContent(), 'offline')
    await says(detail(page, 1), /, 1 to send$/)
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

inBrowser('a reload keeps what was written offline, and that it is offline; a second tab gets devices of its own', {}, async (t, browser) => {
  const page = await openPage(browser, await serve(t))
  await field(page, 1).fill('kept')
  await settled(page, 2, 'kept')
  await line(page, 1).click()
  await field(page, 1).fill('kept, unsent too')
  await says(detail(page, 1), /, 1 to send$/)
  await page.reload()
  await settled(page, 2, 'kept')
  assert.deepEqual([await status(page, 1).textContent(), await field(page, 1).inputValue()], ['offline', 'kept, unsent too'])
  await line(page, 1).click()
  await settled(page, 1, 'kept, unsent too')
  await settled(page, 2, 'kept, unsent too')

  const tab = await openPage(browser, await page.locator('#share').getAttribute('href'), 'kept, unsent too')
  assert.deepEqual(await tab.locator('.device h2').allTextContents(), ['Device 3', 'Device 4'])
  await settled(tab, 1, 'kept, unsent too')
  await field(tab, 2).fill('from another tab')
  await settled(page, 1, 'from another tab')
  await says(page.locator('#views .secret').last(), /^Another device writes “from another tab”, removes 16$/)
})

inBrowser('each change is shown in words beside what the server has of it', {}, async (t, browser) => {
  const page = await openPage(browser, await serve(t))
  await page.locator('#views .empty').waitFor()
  await field(page, 1).fill('hello')
  await settled(page, 2, 'hello')
  const pair = page.locator('#views li')
  assert.equal(await pair.count(), 1)
  assert.equal(await pair.locator('.secret').textContent(), 'Device 1 writes “hello”')
  assert.match(await pair.locator('.sealed').textContent(), /^\d\d:\d\d:\d\d 169 bytes under the name [0-9a-f]{8}…:[0-9a-f]{8}…A[\w-]{99}…$/)
  assert.equal(await page.locator('#views .empty').isVisible(), false)
})

inBrowser('what passes is told in each row, connections too, and opens into the whole message', {}, async (t, browser) => {
  const page = await openPage(browser, await serve(t))
  await field(page, 1).fill('hello')
  await settled(page, 2, 'hello')
  await line(page, 2).click()
  await says(passing(page, 2).locator('.note').last(), 'the connection ended with 1000')
  const rows = (await passing(page, 2).locator('summary, .note').allTextContents()).map((row) => row.replace(/\d\d:\d\d:\d\d/, ''))
  assert.match(rows.join('\n'), new RegExp([
    'connects to ws://127\\.0\\.0\\.1:\\d+/', '↓receivedwelcomeathena-syncd/\\S+ sends a challenge\\d+ B', '↑sentopenproves to have the secret\\d+ B',
    '↓receivedopenedthe log holds 0 changes\\d+ B', 'both sides hold the same', '↓receivedchanged1 change: writes “hello”\\d+ B',
    'goes offline', 'the connection ended with 1000'
  ].join('\n')))
  const live = passing(page, 2).locator('details', { has: page.locator('b', { hasText: /^changed$/ }) })
  await live.locator('summary').press('Enter')
  assert.equal(JSON.parse(await live.locator('pre').textContent()).type, 'changed')
})

inBrowser('what passes can be read while others write', {}, async (t, browser) => {
  const page = await openPage(browser, await serve(t))
  const rows = passing(page, 2).locator('li')
  const end = () => passing(page, 2).locator('.messages').evaluate((list) => list.scrollHeight - list.scrollTop - list.clientHeight)
  await field(page, 1).fill('one')
  await says(rows.last(), /one/)
  const [opened] = await Promise.all([rows.last().locator('details').elementHandle(), rows.last().locator('summary').click()])
  const place = () => opened.evaluate((details) => details.getBoundingClientRect().top + scrollY)
  const before = await place()
  for (const word of ['two', 'six', 'ant']) {
    await field(page, 1).fill(word)
    await says(rows.last(), new RegExp(word))
  }
  assert.equal(await place(), before)
  await page.setViewportSize({ width: 1270, height: 700 })
  await page.setViewportSize({ width: 1280, height: 720 })
  assert.equal(await place(), before)
  assert.ok(await end() > 0)
  await passing(page, 2).locator('.newest').click()
  assert.ok(await end() < 1)
  await field(page, 1).fill('end')
  await says(rows.last(), /end/)
  assert.ok(await end() < 1)
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

// Text that stands out too little from what is behind it, with the ratio of their lightness.
const tooPale = () => {
  const numbers = (colour) => colour.match(/[\d.]+/g).map(Number)
  const luminance = (colour) => numbers(colour).slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0)
  const behind = (element) => {
    const { backgroundColor } = getComputedStyle(element)
    return numbers(backgroundColor)[3] === 0 ? behind(element.parentElement) : backgroundColor
  }
  const hasText = (element) => [...element.childNodes].some(({ nodeType, data }) => nodeType === Node.TEXT_NODE && data.trim() !== '')
  return [...document.querySelectorAll('body *')].filter((element) => element.checkVisibility() && (hasText(element) || element.matches('textarea')))
    .map((element) => {
      const [light, dark] = [luminance(getComputedStyle(element).color), luminance(behind(element))].sort((a, b) => b - a)
      return [element.outerHTML.slice(0, 80), (light + 0.05) / (dark + 0.05)]
    }).filter(([, ratio]) => ratio < 4.5)
}

for (const [width, height] of [[1280, 900], [390, 844]]) {
  for (const colorScheme of ['light', 'dark']) {
    const options = { viewport: { width, height }, colorScheme }
    inBrowser(`it fits a window of ${width} pixels, ${colorScheme}; a picture is left in build/web`, options, async (t, browser) => {
      const pictures = join(BUILD, 'web')
      mkdirSync(pictures, { recursive: true })
      const page = await openPage(browser, await serve(t, { server: 'server.mjs', options: '--limit-change 1024' }))
      const parts = page.locator('textarea, #views, .passing')
      const places = () => parts.evaluateAll((all) => all.map((one) => Math.round(one.getBoundingClientRect().top + scrollY)))
      const before = await places()
      await field(page, 1).pressSequentially('A shopping list: bread, cheese, apples')
      await settled(page, 2, 'A shopping list: bread, cheese, apples')
      await passing(page, 2).locator('summary').last().click()
      await line(page, 1).click()
      await page.screenshot({ path: join(pictures, `${width}-${colorScheme}.png`), fullPage: true })
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth))
      const { y, height: tall } = await field(page, 2).boundingBox()
      assert.ok(y + tall <= height, 'both texts are in view at once')
      await field(page, 2).fill('A change that the server does not take'.repeat(40))
      await says(status(page, 2), 'not in sync')
      assert.deepEqual(await places(), before)
      assert.deepEqual(await page.evaluate(tooPale), [])
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

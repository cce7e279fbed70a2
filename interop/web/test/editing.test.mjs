// The text field while two people write: undo, input methods, the selection, texts of any size.
import test from 'node:test'
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { field, inBrowser, line, openPage, passing, says, serve, settled } from './browser-kit.mjs'
import { Text } from '../text.mjs'

const both = (page, text) => Promise.all([settled(page, 1, text), settled(page, 2, text)])
const value = (page, number) => field(page, number).inputValue()

inBrowser('undo takes back what was written here, not what others wrote, and redo brings it back', {}, async (t, browser) => {
  const page = await openPage(browser, await serve(t))
  await field(page, 1).pressSequentially('mine')
  await settled(page, 2, 'mine')
  await field(page, 2).press('Home')
  await field(page, 2).pressSequentially('yours, ')
  await settled(page, 1, 'yours, mine')
  await field(page, 2).press('End')
  await field(page, 2).pressSequentially(', ours')
  await settled(page, 1, 'yours, mine, ours')

  await field(page, 1).press('Control+z')
  await both(page, 'yours, , ours')
  await field(page, 1).press('Control+z') // there is nothing more of this device
  await field(page, 1).press('Control+Shift+z')
  await both(page, 'yours, mine, ours')
  assert.equal(await field(page, 1).evaluate((one) => one.selectionEnd), 'yours, mine'.length)

  await field(page, 2).press('Control+z')
  await both(page, 'yours, mine, ')
  await field(page, 2).press('Control+y')
  await both(page, 'yours, mine, ours')
})

inBrowser('undo goes word by word', {}, async (t, browser) => {
  const page = await openPage(browser, await serve(t))
  await field(page, 1).pressSequentially('one two  three')
  for (const text of ['one two  ', 'one ', '']) {
    await field(page, 1).press('Control+z')
    assert.equal(await value(page, 1), text)
  }
  await field(page, 1).press('Control+y')
  await field(page, 1).press('Backspace')
  await both(page, 'one')
  await field(page, 1).evaluate(() => document.execCommand('undo')) // as a menu does
  await both(page, 'one ')
})

inBrowser('what comes while an input method is at a word waits for its end', {}, async (t, browser) => {
  const page = await openPage(browser, await serve(t))
  const keyboard = await browser.newCDPSession(page)
  const compose = (text) => keyboard.send('Input.imeSetComposition', { text, selectionStart: text.length, selectionEnd: text.length })
  await field(page, 1).fill('> ')
  await compose('にほ')
  await settled(page, 2, '> にほ')
  await field(page, 2).evaluate((one) => { // without taking the focus
    one.setRangeText('REMOTE ', 0, 0)
    one.dispatchEvent(new InputEvent('input'))
  })
  await says(passing(page, 1).locator('li').last(), /REMOTE/)
  assert.equal(await value(page, 1), '> にほ')
  await compose('にほん')
  await keyboard.send('Input.insertText', { text: '日本' })
  await both(page, 'REMOTE > 日本')
  await field(page, 1).press('Control+z')
  await both(page, 'REMOTE > ')
})

inBrowser('the selection stays with its words, and keeps its direction', {}, async (t, browser) => {
  const page = await openPage(browser, await serve(t))
  const selection = () => field(page, 1).evaluate((one) => [one.selectionStart, one.selectionEnd, one.selectionDirection])
  await field(page, 1).pressSequentially('one two three')
  await settled(page, 2, 'one two three')
  await field(page, 1).evaluate((one) => one.setSelectionRange(4, 7, 'backward'))
  await field(page, 2).fill('zero one two three')
  await settled(page, 1, 'zero one two three')
  assert.deepEqual(await selection(), [9, 12, 'backward'])
  await field(page, 2).fill('two three')
  await settled(page, 1, 'two three')
  assert.deepEqual(await selection(), [0, 3, 'backward'])
})

inBrowser('a pasted text above the limit of a change passes whole; letters after it are taken back without it', {}, async (t, browser) => {
  const page = await openPage(browser, await serve(t, { server: 'server.mjs', options: '--limit-change 65536' }))
  const text = Array.from({ length: 3000 }, () => randomBytes(75).toString('base64')).join('\n')
  await browser.grantPermissions(['clipboard-read', 'clipboard-write'])
  await page.evaluate((text) => navigator.clipboard.writeText(text), text)
  await field(page, 1).press('Control+v')
  await both(page, text)
  await field(page, 1).pressSequentially('abc')
  await settled(page, 2, `${text}abc`)
  await field(page, 1).press('Control+z')
  await both(page, text)
})

test('changes stay small, whatever is written or removed, and cut no character in two', () => {
  const [one, two] = [new Text(), new Text()]
  const text = `x${'👋'.repeat(40000)}`
  const changes = [...one.splice([{ at: 0, removed: 0, inserted: text }]), ...one.splice([{ at: 1, removed: text.length - 1, inserted: 'y' }])]
  assert.ok(changes.every((change) => change.length < 200000))
  assert.deepEqual(two.apply(changes.slice(0, 3)).map(({ inserted }) => inserted).join(''), text)
  two.apply(changes.slice(3))
  assert.deepEqual([String(one), String(two)], ['xy', 'xy'])
})

inBrowser('half a character becomes one that says so, on both devices', {}, async (t, browser) => {
  const page = await openPage(browser, await serve(t))
  await field(page, 1).evaluate((one) => {
    one.value = 'a\ud83db'
    one.dispatchEvent(new InputEvent('input'))
  })
  await settled(page, 2, 'a\ufffdb')
  await field(page, 1).press('End')
  await field(page, 1).pressSequentially('c')
  await settled(page, 2, 'a\ufffdbc')
})

// The README's walk: each scenario that it names is there, and has one step.
import test from 'node:test'
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
const commands = [...readme.matchAll(/^build\/athena-conform (\w+) (?:.*\\\n)*.*/gm)].map(([command, side]) => {
  const names = command.replace(/\\\n/g, ' ').split(/\s+/).filter((word) => /^[a-z-]+\/[a-z0-9-]+$/.test(word))
  return { side, names: names.filter((name) => name !== 'build/athena-conform') }
})
const named = (side) => commands.filter((one) => one.side === side).flatMap(({ names }) => names)

const folders = { server: 'scenarios', client: 'client-scenarios' }

for (const [side, folder] of Object.entries(folders)) {
  test(`each scenario of the ${side}'s walk exists`, () => {
    assert.ok(named(side).length > 100)
    for (const name of named(side)) assert.ok(existsSync(new URL(`../../fixtures/${folder}/${name}.json`, import.meta.url)), name)
  })

  test(`no scenario of the ${side}'s walk belongs to two steps`, () => {
    const names = named(side)
    assert.deepEqual(names.filter((name, i) => names.indexOf(name) !== i), [])
  })
}

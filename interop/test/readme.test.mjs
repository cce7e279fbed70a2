// The README's walk: each scenario there is has one step, and its commands are those of the Makefile.
import test from 'node:test'
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'

const ROOT = new URL('../../', import.meta.url)
const read = (path) => readFileSync(new URL(path, ROOT), 'utf8')
const readme = read('interop/README.md')
const commands = [...readme.matchAll(/^build\/athena-conform (\w+) (?:.*\\\n)*.*/gm)].map(([command, side]) => {
  const names = command.replace(/\\\n/g, ' ').split(/\s+/).filter((word) => /^[a-z-]+\/[a-z0-9-]+$/.test(word))
  return { side, names: names.filter((name) => name !== 'build/athena-conform') }
})

function existing(folder) {
  const families = readdirSync(new URL(folder, ROOT), { withFileTypes: true }).filter((entry) => entry.isDirectory())
  return families.flatMap(({ name: family }) => readdirSync(new URL(`${folder}/${family}`, ROOT))
    .filter((file) => file.endsWith('.json'))
    .map((file) => `${family}/${file.slice(0, -'.json'.length)}`))
}

for (const [side, folder] of Object.entries({ server: 'fixtures/scenarios', client: 'fixtures/client-scenarios' })) {
  const named = commands.filter((one) => one.side === side).flatMap(({ names }) => names)
  const there = existing(folder)

  test(`each scenario of ${folder} has a step in the ${side}'s walk`, () => {
    const without = there.filter((name) => !named.includes(name))
    assert.deepEqual(without, [], `add ${without.join(', ')} in interop/README.md to the first step of the ${side}'s walk after which it can pass`)
  })

  test(`the ${side}'s walk names each scenario once, and none that ${folder} does not hold`, () => {
    assert.deepEqual(named.filter((name) => !there.includes(name)), [], 'take these out of interop/README.md')
    assert.deepEqual(named.filter((name, i) => named.indexOf(name) !== i), [], 'these have two steps in interop/README.md: keep the first')
  })
}

test('the commands of the walk are those of `make interop`', () => {
  const makefile = read('Makefile').replaceAll('$(CURDIR)/', '')
  for (const [, variable, command] of readme.matchAll(/^(SERVER|CLIENT)='(.*)'$/gm)) {
    assert.ok(makefile.includes(`'${command}'`), `${variable} of interop/README.md is not what the Makefile runs`)
  }
})

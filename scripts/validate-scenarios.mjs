#!/usr/bin/env node
// The schema of scenarios as everybody else reads it: Ajv, a validator of JSON Schema 2020-12, takes
// every scenario of the tree, and refuses what the suite's own reader refuses in its corpus.
//
//   validate-scenarios.mjs
//
// Needs the packages of interop/ (`make interop-deps`). Exit: 0 so it is, 1 not.
import { readdirSync, readFileSync } from 'node:fs'
import { Ajv } from '../fixtures/lib/libraries.mjs'

const ROOT = new URL('../', import.meta.url)
const read = (path) => JSON.parse(readFileSync(new URL(path, ROOT), 'utf8'))
const validate = new Ajv({ strictRequired: false }).compile(read('fixtures/scenarios/scenario.schema.json'))

const scenarios = ['fixtures/scenarios', 'fixtures/client-scenarios'].flatMap((folder) =>
  readdirSync(new URL(folder, ROOT), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => readdirSync(new URL(`${folder}/${name}`, ROOT)).map((file) => `${folder}/${name}/${file}`)))
const faults = scenarios.filter((path) => !validate(read(path))).map((path) => `${path} is refused`)

const invalid = read('conformance/tests/corpus/invalid.json')
faults.push(...invalid.filter(({ scenario }) => validate(scenario)).map(({ name }) => `the corpus' "${name}" is accepted`))

faults.forEach((fault) => console.error(fault))
if (faults.length > 0 || scenarios.length === 0) process.exit(1)
console.log(`${scenarios.length} scenarios are valid, ${invalid.length} are not`)

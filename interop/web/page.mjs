// The page: which document, by the secret behind the #; which devices, by what is free in this browser.
import * as Automerge from '@automerge/automerge'
import { encode } from '../lib/base64url.mjs'
import { deriveKeys, newSecret, secretFromText } from '../lib/keys.mjs'
import { Device } from './device.mjs'
import { Inspector } from './inspector.mjs'
import { Views } from './views.mjs'

const DEVICES = 2 // on one page
const DEVICES_MAX = 64 // in one browser

function secretOfPage() {
  if (location.hash.length > 1) return secretFromText(location.hash.slice(1))
  const secret = newSecret()
  history.replaceState(null, '', `#${encode(secret)}`)
  return secret
}

// A device belongs to one page at a time: its lock is held until the page is gone. So a reload finds
// its devices again, and a further tab gets others.
function takeDevice(doc, number) {
  return new Promise((resolve, reject) => {
    const hold = (lock) => {
      resolve(lock !== null)
      return lock && new Promise((release) => addEventListener('pagehide', release))
    }
    navigator.locks.request(`device ${doc} ${number}`, { ifAvailable: true }, hold).catch(reject)
  })
}

async function freeDevices(doc) {
  const taken = []
  for (let number = 1; taken.length < DEVICES && number <= DEVICES_MAX; number++) {
    if (await takeDevice(doc, number)) taken.push(number)
  }
  return taken
}

const copyOf = (template) => document.getElementById(template).content.firstElementChild.cloneNode(true)

/** A device's two sections: its text above, what passes below. */
function sections(name) {
  const [device, passing] = [copyOf('device'), copyOf('passing')]
  passing.querySelector('h2').prepend(`What passes: ${name} `)
  passing.querySelector('.messages').setAttribute('aria-label', `What passes between ${name} and the server`)
  document.getElementById('devices').append(device)
  document.getElementById('passings').append(passing)
  return { device, passing }
}

async function start() {
  const secret = secretOfPage()
  const keys = deriveKeys(secret)
  const { url } = await (await fetch('/config.json')).json()
  await Automerge.initializeWasm(fetch('/modules/@automerge/automerge/dist/automerge.wasm'))
  document.getElementById('share').href = location.href
  const views = new Views(document.getElementById('views'), keys)
  for (const number of await freeDevices(keys.docText)) {
    const name = `Device ${number}`
    const { device: section, passing } = sections(name)
    const watch = (message) => views.message(message, name)
    await Device.open({ section, name, database: `athena ${keys.docText} ${number}`, secret, url, inspector: new Inspector(passing, keys), watch })
  }
}

addEventListener('hashchange', () => location.reload())
start().catch((error) => {
  const failure = document.getElementById('failure')
  failure.textContent = `This page cannot start: ${error.message}`
  failure.hidden = false
  document.querySelector('main').hidden = true
})

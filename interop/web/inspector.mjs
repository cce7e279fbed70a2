// What passes between one device and the server: a WebSocket that tells it, and the list that shows it.
import { describeAll } from './describe.mjs'
import { clock, element } from './elements.mjs'
import { Tail } from './tail.mjs'
import { number, several } from './words.mjs'

const SHOWN = 200 // rows; older ones leave the list
const OPENED = 50 // changes of a message that are shown one by one
const LONGEST = 300 // characters of a text within a message

/** A WebSocket class that also gives `tell` its messages, { up, text }, and its beginning and end, { note }. */
export function tapped(tell) {
  return class extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols)
      tell({ note: `connects to ${url}` })
      let opened = false
      this.addEventListener('open', () => { opened = true })
      this.addEventListener('message', ({ data }) => typeof data === 'string' && tell({ up: false, text: data }))
      this.addEventListener('close', ({ code, reason }) => tell({ note: ending(opened, code, reason) }))
    }

    send(text) {
      tell({ up: true, text })
      super.send(text)
    }
  }
}

function ending(opened, code, reason) {
  if (!opened) return 'no connection came about'
  return `the connection ended with ${code}${reason && `: ${reason}`}`
}

// What each type of message says, in the words of whoever can see it: the server can.
const SAYS = {
  welcome: ({ server }) => `${server} sends a challenge`,
  open: () => 'proves to have the secret',
  opened: ({ count }) => `the log holds ${several(count, 'change')}`,
  list: ({ after, data }) => `${data ? 'changes' : 'names'} ${after ? 'after what is known' : 'from the start'}`,
  listed: ({ ids, changes = ids, more }) => `${several(changes.length, ids ? 'name' : 'change')}${more ? ', more follow' : ''}`,
  get: ({ ids }) => several(ids.length, 'change'),
  got: ({ changes }) => several(changes.length, 'change'),
  push: ({ changes }) => several(changes.length, 'change'),
  pushed: ({ rejected }) => (rejected.length > 0 ? `${several(rejected.length, 'change')} refused: ${rejected[0].code}` : 'is stored'),
  changed: ({ changes }) => several(changes.length, 'change'),
  error: ({ code, message }) => `${code}: ${message}`
}

export class Inspector {
  #tail
  #total
  #keys
  #count = 0

  constructor(section, keys) {
    const find = (selector) => section.querySelector(selector)
    this.#tail = new Tail(find('.messages'), find('.newest'), SHOWN)
    this.#total = find('.total')
    this.#keys = keys
  }

  /** Something that happens to the connection; `kind` is `bad` for what ought not to be. */
  note(text, kind = '') {
    const row = element('li', '', `note ${kind}`)
    row.append(element('span', '', 'marker'), clock(), element('span', text, 'says'))
    this.#tail.add(row)
  }

  message({ up, text }) {
    const message = JSON.parse(text)
    const { type, changes = [] } = message
    const summary = element('summary')
    const says = element('span', SAYS[type]?.(message) ?? '', 'says')
    if (changes.length > 0) says.append(': ', element('span', describeAll(this.#keys, changes), 'secret'))
    const arrow = element('span', up ? '↑' : '↓')
    arrow.append(element('span', up ? 'sent' : 'received', 'unseen'))
    summary.append(
      element('span', '', 'marker'), clock(), arrow, element('b', type), says,
      element('span', `${number(new TextEncoder().encode(text).length)} B`, 'bytes')
    )
    const details = element('details')
    details.append(summary, element('pre', JSON.stringify(message, shortened, 2)))
    const row = element('li')
    row.append(details)
    this.#tail.add(row)
    this.#total.textContent = several(++this.#count, 'message')
  }
}

// What is long is told by its beginning and its length.
function shortened(name, value) {
  if (typeof value === 'string' && value.length > LONGEST) return `${value.slice(0, LONGEST)}… (${number(value.length)} characters)`
  if (Array.isArray(value) && value.length > OPENED) return [...value.slice(0, OPENED), `… (${number(value.length)} in all)`]
  return value
}

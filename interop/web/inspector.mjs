// A WebSocket that tells what passes, and the list that shows it: each message, and for each change in
// it what the server sees beside what the user sees.
import { open } from '../lib/envelope.mjs'
import { decode } from '../lib/base64url.mjs'
import { describe } from './text.mjs'

const SHOWN = 200 // messages; older ones leave the list

/** A WebSocket class whose messages are also given to `tell({ up, text })`. */
export function tapped(tell) {
  return class extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols)
      this.addEventListener('message', ({ data }) => typeof data === 'string' && tell({ up: false, text: data }))
    }

    send(text) {
      tell({ up: true, text })
      super.send(text)
    }
  }
}

function element(name, text = '', className = '') {
  const made = document.createElement(name)
  made.textContent = text
  made.className = className
  return made
}

function readable(keys, id, data) {
  try {
    return describe(open(keys, id, decode(data)))
  } catch (error) {
    return error.message
  }
}

function changesTable(keys, changes) {
  const table = element('table')
  const head = table.insertRow()
  for (const title of ['The server sees', 'The user sees']) head.append(element('th', title))
  for (const { id, data } of changes) {
    const row = table.insertRow()
    const seen = row.insertCell()
    seen.append(element('code', `${id.slice(0, 8)}…  ${data.slice(0, 48)}…`), element('span', ` ${decode(data).length} bytes`, 'dim'))
    row.insertCell().textContent = readable(keys, id, data)
  }
  return table
}

export class Inspector {
  #list
  #total
  #keys
  #count = 0

  constructor(list, total, keys) {
    this.#list = list
    this.#total = total
    this.#keys = keys
  }

  show({ up, text }) {
    const message = JSON.parse(text)
    const { type, changes = [], ids = [], ...rest } = message
    const item = element('li')
    const details = element('details')
    const summary = element('summary')
    const about = changes.length > 0 ? `${changes.length} ${changes.length === 1 ? 'change' : 'changes'}` : ids.length > 0 ? `${ids.length} ids` : rest.code ?? ''
    summary.append(element('span', up ? '↑' : '↓', up ? 'up' : 'down'), element('b', type), element('span', about, 'more'), element('span', `${new TextEncoder().encode(text).length} B`, 'bytes'))
    details.append(summary)
    details.addEventListener('toggle', () => {
      if (changes.length > 0) details.append(changesTable(this.#keys, changes))
      details.append(element('pre', JSON.stringify(message, null, 2)))
    }, { once: true })
    item.append(details)
    this.#list.prepend(item)
    if (this.#list.children.length > SHOWN) this.#list.lastChild.remove()
    this.#total.textContent = `${++this.#count} messages`
  }
}

// The same changes from both sides: what the users read, and what the server has of it.
import { decode } from '../lib/base64url.mjs'
import { describeOne } from './describe.mjs'
import { clock, element } from './elements.mjs'
import { Tail } from './tail.mjs'
import { several } from './words.mjs'

const SHOWN = 100 // rows; older ones leave the list
const BEGINNING = 100 // characters of an envelope

export class Views {
  #keys
  #section
  #tail
  #seen = new Set() // change ids
  #bytes = 0

  constructor(section, keys) {
    this.#keys = keys
    this.#section = section
    this.#tail = new Tail(section.querySelector('.pairs'), section.querySelector('.newest'), SHOWN)
  }

  /** The changes in a message that `device` has sent or received, each when it is first seen. */
  message({ up, text }, device) {
    const { type, changes = [] } = JSON.parse(text)
    const fresh = changes.filter(({ id }) => !this.#seen.has(id))
    if (fresh.length === 0) return
    const who = up ? device : type === 'changed' ? 'Another device' : 'Earlier, a device'
    for (const { id, data } of fresh) {
      this.#seen.add(id)
      this.#bytes += decode(data).length
    }
    for (const change of fresh.slice(-SHOWN)) this.#tail.add(this.#pair(change, who))
    this.#section.classList.remove('is-empty')
    this.#section.querySelector('.total').textContent = `${several(this.#seen.size, 'change')}, ${several(this.#bytes, 'byte')} of ciphertext`
  }

  #pair({ id, data }, who) {
    const user = element('p', '', 'secret')
    user.append(element('b', who), ` ${describeOne(this.#keys, { id, data })}`)
    const server = element('p', '', 'sealed')
    const [actor, uuid] = id.split(':')
    server.append(
      clock(), ` ${several(decode(data).length, 'byte')}`,
      element('span', ` under the name ${actor.slice(0, 8)}…:${uuid.slice(0, 8)}…`, 'name'),
      element('code', `${data.slice(0, BEGINNING)}…`)
    )
    const row = element('li')
    row.append(user, server)
    return row
  }
}

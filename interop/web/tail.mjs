// A list that grows at its end: it follows what is new only while its end is in view, so that one can
// read in it meanwhile, and forgets its oldest items.
const NEAR = 8 // pixels from the end that still count as its end

export class Tail {
  #list
  #newest
  #most
  #follows = true

  /** `list` scrolls; `newest`, a button, leads to its end when that is out of view. */
  constructor(list, newest, most) {
    this.#list = list
    this.#newest = newest
    this.#most = most
    list.addEventListener('scroll', () => this.#look(), { passive: true })
    list.addEventListener('toggle', () => this.#look(), { capture: true }) // an item was opened, and is to stay in view
    newest.addEventListener('click', () => this.#follow())
    new ResizeObserver(() => this.#follows && this.#follow()).observe(list)
  }

  add(item) {
    this.#look() // an item may just have been opened
    this.#list.append(item)
    if (this.#list.children.length > this.#most) this.#forget()
    if (this.#follows) this.#follow()
  }

  // What is in view stays where it is.
  #forget() {
    const before = this.#list.scrollHeight
    this.#list.firstElementChild.remove()
    this.#list.scrollTop -= before - this.#list.scrollHeight
  }

  #follow() {
    this.#list.scrollTop = this.#list.scrollHeight
    this.#look()
  }

  #look() {
    const { scrollHeight, scrollTop, clientHeight } = this.#list
    this.#follows = scrollHeight - scrollTop - clientHeight < NEAR
    this.#newest.hidden = this.#follows
  }
}

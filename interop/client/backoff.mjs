// How long to wait before the next attempt (section 12.7): a random time below a bound that doubles.
export class Backoff {
  #first
  #most
  #bound
  #random

  constructor({ first = 500, most = 60000, random = Math.random } = {}) {
    this.#first = first
    this.#most = most
    this.#bound = first
    this.#random = random
  }

  next() {
    const delay = Math.floor(this.#random() * this.#bound)
    this.#bound = Math.min(this.#most, this.#bound * 2)
    return delay
  }

  reset() {
    this.#bound = this.#first
  }
}

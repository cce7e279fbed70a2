/** The answer `error` to one request (section 10.8). */
export class Refusal extends Error {
  constructor(code, message) {
    super(message)
    this.name = 'Refusal'
    this.code = code
  }
}

// Who has which document open, so that a commit reaches exactly those.
export class Hub {
  #sessions = new Map()

  add(doc, session) {
    if (!this.#sessions.has(doc)) this.#sessions.set(doc, new Set())
    this.#sessions.get(doc).add(session)
  }

  remove(doc, session) {
    const sessions = this.#sessions.get(doc)
    sessions?.delete(session)
    if (sessions?.size === 0) this.#sessions.delete(doc)
  }

  /** Lets each session that has one of these documents open send what is new. */
  pump(docs) {
    for (const doc of docs) {
      for (const session of this.#sessions.get(doc) ?? []) session.pump()
    }
  }
}

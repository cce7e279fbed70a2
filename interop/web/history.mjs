// What a device can take back: its own edits, and nothing that others wrote. The text is a row of
// pieces, each of which knows the edit that wrote it (`by`) and the undo that put it back (`back`), so
// that others may write before, behind and within what is taken back. A piece of length 0 keeps the place
// of an edit that left nothing there.
export class History {
  #pieces = []
  #done = [] // edits, the last one last: { number, gone }, with the pieces that it cut out and their text
  #undone = []
  #number = 0

  /** An edit of this device in `text`. One that `joins` is taken back together with the one before. */
  edited({ at, removed, inserted }, text, joins) {
    if (!joins || this.#done.length === 0) this.#done.push({ number: ++this.#number, gone: [] })
    const { number, gone } = this.#done.at(-1)
    const cut = this.#replace(at, removed, () => [{ length: inserted.length, by: number }])
    for (const piece of withText(cut, at, text)) if (piece.by !== number) gone.push(piece)
    this.#undone = []
  }

  /** An edit of somebody else. */
  changed({ at, removed, inserted }) {
    const places = (cut) => cut.filter(({ by, back }) => by ?? back).map((piece) => ({ ...piece, length: 0 }))
    this.#replace(at, removed, (cut) => [...places(cut), { length: inserted.length }])
  }

  /** Takes back the last edit: splices of `text`, from its end to its beginning; null when there is none. */
  undo(text) {
    const putBack = ({ number, gone }) => [{ length: 0, text: '', back: number }, ...gone.map((piece) => ({ ...piece, back: number }))]
    return this.#turn(text, this.#done, this.#undone, 'by', putBack)
  }

  /** Makes the edit again that was taken back last. */
  redo(text) {
    return this.#turn(text, this.#undone, this.#done, 'back', ({ gone }) => gone)
  }

  // Puts pieces in the place of those that an edit, or an undo, has left. The places of later edits within
  // an edit that is taken back, all taken back before, come along: they return with it.
  #turn(text, from, to, member, piecesOf) {
    const edit = from.pop()
    if (edit === undefined) return null
    const row = withText(this.#pieces, 0, text)
    const isOf = (piece) => piece[member] === edit.number
    const [first, last] = [row.findIndex(isOf), row.findLastIndex(isOf)]
    const leaves = (piece, i) => isOf(piece) || (member === 'by' && i > first && i < last && piece.length === 0)
    const gone = row.filter(leaves)
    const put = piecesOf(edit)
    const inserted = put.map((piece) => piece.text).join('')
    const splices = gone.map(({ at, length }, i) => ({ at, removed: length, inserted: i === 0 ? inserted : '' }))
    this.#pieces = tidy(row.flatMap((piece, i) => (i === first ? put : leaves(piece, i) ? [] : [piece])))
    to.push({ number: edit.number, gone })
    return splices.filter((splice) => splice.removed > 0 || splice.inserted !== '').reverse()
  }

  // Gives what was cut out.
  #replace(at, removed, put) {
    const [before, rest] = cutAt(this.#pieces, at)
    const [cut, after] = cutAt(rest, removed)
    this.#pieces = tidy([...before, ...put(cut), ...after])
    return cut
  }
}

// The pieces before a position and those after it.
function cutAt(pieces, position) {
  let at = position
  let i = 0
  for (; i < pieces.length && pieces[i].length <= at; i++) at -= pieces[i].length
  const [before, after] = [pieces.slice(0, i), pieces.slice(i)]
  if (at === 0) return [before, after]
  const [piece, ...rest] = after
  return [[...before, { ...piece, length: at }], [{ ...piece, length: piece.length - at }, ...rest]]
}

function withText(pieces, start, text) {
  let at = start
  return pieces.map(({ length, by, back }) => {
    at += length
    return { length, by, back, at: at - length, text: text.slice(at - length, at) }
  })
}

// One piece in place of neighbours of one origin.
function tidy(pieces) {
  const row = []
  for (const { length, by, back } of pieces) {
    const last = row.at(-1)
    if (last && last.by === by && last.back === back) last.length += length
    else row.push({ length, by, back })
  }
  return row
}

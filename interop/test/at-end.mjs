// What a test has to end or remove, in the reverse order of how it came, and all of it: the hooks of
// node:test run in the order in which they were set, and one that fails keeps the later from running.
const ends = new WeakMap() // test to functions

export function atEnd(t, end) {
  if (!ends.has(t)) {
    ends.set(t, [])
    t.after(() => endAll(ends.get(t)))
  }
  ends.get(t).push(end)
}

async function endAll(functions) {
  const failures = []
  for (const end of functions.reverse()) {
    try {
      await end()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw failures[0]
}

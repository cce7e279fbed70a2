// What the report does beyond links and what opens.
const all = (what, where = document) => [...where.querySelectorAll(what)]
const q = document.getElementById('q')
const s = document.getElementById('s')

// ---- The filter: each item by the words that tell it from others ----

const items = all('main [data-status]')
const words = new Map()
const before = new Map() // which groups were open

function wordsOf(item) {
  if (!words.has(item)) {
    const parts = item.matches('details') ? all(':scope > summary, .broken, .problem, .ids', item) : [item]
    words.set(item, parts.map((part) => part.textContent).join(' ').toLowerCase())
  }
  return words.get(item)
}

function filter() {
  const wanted = q.value.trim().toLowerCase()
  const isOn = Boolean(wanted || s.value)
  const shown = { DETAILS: 0, TR: 0, P: 0 }
  for (const item of items) {
    const hasStatus = !s.value || item.matches('tr') || s.value.split(' ').includes(item.dataset.status)
    item.hidden = !hasStatus || !wordsOf(item).includes(wanted)
    shown[item.tagName] += !item.hidden
  }
  for (const group of all('.group')) {
    group.hidden = !group.querySelector('[data-status]:not([hidden])')
    if (isOn && !before.has(group)) before.set(group, group.open)
    if (before.has(group)) group.open = isOn || before.get(group)
  }
  if (!isOn) before.clear()
  document.querySelector('output').textContent = isOn ? `${shown.DETAILS} scenarios, ${shown.TR} requirements` : ''
}

q.oninput = s.oninput = filter
q.form.onsubmit = (event) => event.preventDefault()
q.form.hidden = false
addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.target.matches('input, select')) return
  event.preventDefault()
  q.focus()
})

// ---- Links: what they lead to is opened, whatever the filter hides; what is opened can be linked to ----

function reveal() {
  let id = location.hash.slice(1)
  try {
    id = decodeURIComponent(id)
  } catch {} // as it is, then
  const target = document.getElementById(id)
  if (!target) return
  if (target.closest('[hidden]')) {
    q.value = s.value = ''
    filter()
  }
  for (let at = target; at; at = at.parentElement) if (at.matches('details')) at.open = true
  target.scrollIntoView()
}

addEventListener('hashchange', reveal)
reveal()
for (const scenario of all('details.scenario')) {
  scenario.firstElementChild.onclick = () => {
    if (!scenario.open) history.replaceState(null, '', `#${encodeURI(scenario.id)}`)
  }
}

// ---- The command that replays it ----

async function copy(code) {
  try {
    return await navigator.clipboard.writeText(code.textContent)
  } catch {} // no clipboard to be had: as by hand
  getSelection().selectAllChildren(code)
  document.execCommand('copy')
}

for (const code of all('.replay')) {
  const button = document.createElement('button')
  button.textContent = 'Copy'
  button.onclick = async () => {
    await copy(code)
    button.textContent = 'Copied'
  }
  code.after(button)
}

// ---- On paper failures stand open ----

let closed = []
addEventListener('beforeprint', () => {
  closed = all('#failed details:not([open])')
  for (const details of closed) details.open = true
})
addEventListener('afterprint', () => {
  for (const details of closed) details.open = false
})

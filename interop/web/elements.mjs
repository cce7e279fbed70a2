// Small things of the page.
export function element(name, text = '', className = '') {
  const made = document.createElement(name)
  made.textContent = text
  made.className = className
  return made
}

/** The time of day, to the second. */
export function clock() {
  const now = new Date()
  const made = element('time', now.toLocaleTimeString('en', { hourCycle: 'h23' }))
  made.dateTime = now.toISOString()
  return made
}

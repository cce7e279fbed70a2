// The authority of a URL (section 7.5), which a proof names.

/** The authority of a server's URL; throws a TypeError that says why a URL is refused. */
export function authorityOf(text) {
  const url = parse(text)
  if (url === null) throw new TypeError(`${text}: not a URL`)
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') throw new TypeError(`${text}: the scheme is neither ws nor wss`)
  if (url.username !== '' || url.password !== '') throw new TypeError('the URL holds a user name or a password')
  if (url.hash !== '' || text.includes('#')) throw new TypeError(`${text}: the URL holds a fragment`)
  return url.host
}

/** Whether a name is written as clients that dial it name it. */
export const isAuthority = (name) => ['ws', 'wss'].some((scheme) => parse(`${scheme}://${name}/`)?.host === name)

function parse(text) {
  try {
    return new URL(text)
  } catch {
    return null
  }
}

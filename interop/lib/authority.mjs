// The authority of a URL (section 7.5), which a proof names.

/** The authority of a server's URL; throws a TypeError that says why a URL is refused. */
export function authorityOf(text) {
  const url = new URL(text)
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') throw new TypeError(`${text}: the scheme is neither ws nor wss`)
  if (url.username !== '' || url.password !== '') throw new TypeError('the URL holds a user name or a password')
  if (url.hash !== '' || text.includes('#')) throw new TypeError(`${text}: the URL holds a fragment`)
  return url.host
}

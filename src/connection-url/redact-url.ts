/**
 * Returns a connection URL without its secrets: the password, and the parameters, which may contain one, too.
 * Everything between the scheme and the last `@` counts as user and password, so that a password that is not encoded
 * (`app:#s3cret@host`, `app:12/ab@host`) is not shown either.
 */
export function redactUrl(text: string): string {
  const [, scheme = '', rest = ''] = /^([a-z]+:\/\/)(.*)$/s.exec(text) ?? []
  const at = rest.lastIndexOf('@')
  const user = rest.slice(0, Math.max(at, 0)).replace(/:.*$/s, '')
  // The last `@` may be in a parameter. The user would then be everything before it.
  const shownUser = /^[\w.%-]*$/.test(user) ? user : '***'
  const place = rest.slice(at + 1).replace(/[?#].*$/s, '')
  const shownPlace = shownUser === '***' ? '***' : place
  return `${scheme}${shownUser === '' ? '' : `${shownUser}@`}${shownPlace}`
}

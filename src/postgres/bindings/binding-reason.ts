import type pg from 'pg'

const lockNotAvailable = '55P03'
const insufficientPrivilege = '42501'

/** Returns, in one line, the reason why the database refused a binding, with the cure. */
export function bindingReason({ code, message, detail, hint }: pg.DatabaseError): string {
  if (code === lockNotAvailable) return 'another session holds a lock on the table → try again'
  const cure = hint ?? (code === insufficientPrivilege ? 'connect as the owner' : undefined)
  const reason = detail === undefined ? message : `${message}. ${withoutPeriod(detail)}`
  return cure === undefined ? reason : `${reason} → ${withoutPeriod(cure)}`
}

function withoutPeriod(text: string): string {
  return text.replace(/\.$/, '')
}

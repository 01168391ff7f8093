import { bad, type Finding, ok, warning } from './finding.js'

/** Parameters that take the place of a timeout that a sidecar sets itself. */
const timeouts: ReadonlySet<string> = new Set(['statement_timeout', 'lock_timeout', 'query_timeout'])

/** Checks the parameters of the URL in `variable`, of which the configuration has refused those without an effect. Connects to nothing, and shows no value but those of timeouts. */
export function lookAtUrl(
  variable: string,
  url: string,
  { databaseTimeoutMs }: { readonly databaseTimeoutMs: number },
): readonly Finding[] {
  const check = `parameters of ${variable}`
  const parameters = [...new URL(url).searchParams]
  const findings = parameters.flatMap(([name, value]): Finding[] => {
    const remove = `remove ${name} from ${variable}`
    if (timeouts.has(name)) {
      const says = `${name}=${value} takes the place of DATABASE_TIMEOUT_MS=${databaseTimeoutMs}`
      const isShort = !(Number(value) >= databaseTimeoutMs) && value !== '0'
      // A row that is locked is waited for, within the time of the request.
      return [
        isShort && name !== 'lock_timeout'
          ? bad(check, `${says}, and ends requests before their time`, remove)
          : warning(check, says, remove),
      ]
    }
    if (name === 'application_name')
      return [
        warning(
          check,
          'application_name replaces the names by which doctor and pg_stat_activity tell sidecars from others',
          remove,
        ),
      ]
    if (name === 'sslmode' && value === 'no-verify')
      return [
        warning(
          check,
          'sslmode=no-verify encrypts, and does not check who the server is',
          `use sslmode=verify-full and sslrootcert in ${variable}`,
        ),
      ]
    return []
  })
  return findings.length > 0 ? findings : [ok(check, 'as a sidecar needs them')]
}

/** The same URL without the parameters that could end a check. */
export function withoutTimeouts(url: string): string {
  const parsed = new URL(url)
  if (![...parsed.searchParams.keys()].some(isDisturbing)) return url
  for (const name of [...parsed.searchParams.keys()].filter(isDisturbing)) parsed.searchParams.delete(name)
  return parsed.href
}

const isDisturbing = (name: string) => timeouts.has(name) || name === 'application_name'

/**
 * Level of a finding. `warning`: a sidecar works, but something is missing that it could use, or that may be missing on
 * purpose. `skipped`: not checked, because something else has to be fixed first.
 */
export type Level = 'ok' | 'warning' | 'bad' | 'skipped'

/** Result of one check of the database. */
export interface Finding {
  /** Name of the thing that was checked, in a word or two. */
  readonly check: string
  /** True if nothing has to be done: at the levels `ok` and `warning`. */
  readonly ok: boolean
  readonly level: Level
  readonly says: string
  /** Advice on what to do; at the levels `warning` and `bad`. */
  readonly cure?: string
}

export function ok(check: string, says: string): Finding {
  return { check, ok: true, level: 'ok', says }
}

export function warning(check: string, says: string, cure: string): Finding {
  return { check, ok: true, level: 'warning', says, cure }
}

export function bad(check: string, says: string, cure: string): Finding {
  return { check, ok: false, level: 'bad', says, cure }
}

export function skipped(check: string, cause: string): Finding {
  return { check, ok: false, level: 'skipped', says: `not checked until "${cause}" is fixed` }
}

/** Returns a cure that ends in SQL, and says who has to run it. */
export function runAs(who: string, ...statements: readonly string[]): string {
  return `run as ${who}: ${statements.join('; ')}`
}

export function migrateAs(owner: string | undefined): string {
  return `run "caching-layer migrate" as ${owner === undefined ? 'the owner' : `the owner, "${owner}"`}`
}

/** What one look at the database came to. */
export interface Finding {
  /** What was looked at, in a word or two. */
  readonly check: string
  readonly ok: boolean
  readonly says: string
  /** What to do about it; only where it is not ok. */
  readonly cure?: string
}

export function ok(check: string, says: string): Finding {
  return { check, ok: true, says }
}

export function bad(check: string, says: string, cure: string): Finding {
  return { check, ok: false, says, cure }
}

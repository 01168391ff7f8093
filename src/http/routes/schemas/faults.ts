import { z } from 'zod'

type Issue = { readonly input?: unknown }

/** Returns the message for a member of the wrong type, or for none at all. */
export function missingOr(message: string): (issue: Issue) => string {
  return ({ input }) => (input === undefined ? 'missing' : message)
}

/** Returns a check by a function that names what is wrong with a value; undefined if nothing is. */
export function fault<Value>(find: (value: Value) => string | undefined): z.core.CheckFn<Value> {
  return ({ value, issues }) => {
    const message = find(value)
    if (message !== undefined) issues.push({ code: 'custom', message, input: value, continue: false })
  }
}

/**
 * Returns the schema of an array. Its length is checked first, because every wrong element of a large body would become
 * an issue.
 */
export function arrayOf<Element extends z.ZodType>(element: Element, max: number, elements = 'strings') {
  const lengthFault = (value: unknown) => {
    if (value === undefined) return 'missing'
    if (!Array.isArray(value)) return `must be an array of ${elements}`
    return value.length > max ? `more than ${max}` : undefined
  }
  return z.unknown().check(fault(lengthFault)).pipe(z.array(element).max(max))
}

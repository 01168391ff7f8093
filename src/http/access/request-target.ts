/** Parts of a request target in absolute form, `http://host:port/path?query`. */
export interface AbsoluteTarget {
  /** Host and port, which replace the Host header (RFC 9112, 3.2.2). */
  readonly host: string
  /** Target in origin form: path and query. */
  readonly originForm: string
}

/** Parses a target in absolute form. Returns undefined if it is not an HTTP URL. */
export function absoluteTarget(target: string): AbsoluteTarget | undefined {
  const [start, host] = /^https?:\/\/([^/?#]+)/i.exec(target) ?? []
  if (start === undefined || host === undefined || !URL.canParse(target)) return undefined
  const rest = target.slice(start.length)
  return { host, originForm: rest.startsWith('/') ? rest : `/${rest}` }
}

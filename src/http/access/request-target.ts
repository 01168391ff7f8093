/** The two parts of a request's absolute-form target, `http://host:port/path?query`. */
export interface AbsoluteTarget {
  /** It stands for the Host header (RFC 9112, 3.2.2). */
  readonly host: string
  /** What the target would be without it. */
  readonly originForm: string
}

/** Returns undefined for what is no URL of HTTP. */
export function absoluteTarget(target: string): AbsoluteTarget | undefined {
  const [start, host] = /^https?:\/\/([^/?#]+)/i.exec(target) ?? []
  if (start === undefined || host === undefined || !URL.canParse(target)) return undefined
  const rest = target.slice(start.length)
  return { host, originForm: rest.startsWith('/') ? rest : `/${rest}` }
}

/** The two parts of a request's absolute-form target, `http://host:port/path?query`. */
export interface AbsoluteTarget {
  /** It stands for the Host header (RFC 9112, 3.2.2). */
  readonly host: string
  /** What the target would be without it. */
  readonly originForm: string
}

/** Returns undefined for what is no URL of HTTP. */
export function absoluteTarget(target: string): AbsoluteTarget | undefined {
  const [, host, rest = ''] = /^https?:\/\/([^/?#]+)(.*)$/i.exec(target) ?? []
  if (host === undefined || !URL.canParse(target)) return undefined
  return { host, originForm: rest.startsWith('/') ? rest : `/${rest}` }
}

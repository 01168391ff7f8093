import type { Value } from '../core/entry.js'
import type { Read } from '../core/read.js'

/** The value is JSON text already. `stale` is there only when it is true. */
export function readBody(key: string, { value, forwarded, stale }: Read): string {
  const source = forwarded === undefined ? 'cache' : 'db'
  return `{"key":${JSON.stringify(key)},"value":${value},"source":"${source}"${stale ? ',"stale":true' : ''}}`
}

export function hitBody(key: string, value: Value): string {
  return `{"key":${JSON.stringify(key)},"value":${value},"source":"cache"}`
}

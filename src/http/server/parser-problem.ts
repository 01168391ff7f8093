import { STATUS_CODES } from 'node:http'
import { type Problem, problemResponse } from '../routes/problem.js'
import { maxHeaderBytes } from './connection-limits.js'

/** Problems by the error code of Node's parser. */
const byCode: ReadonlyMap<string | undefined, Problem> = new Map([
  [
    'HPE_HEADER_OVERFLOW',
    {
      status: 431,
      detail: `request line and headers: more than ${maxHeaderBytes} bytes`,
      kind: 'headers-too-large',
    },
  ],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', { status: 413, detail: 'body: chunk extensions too large' }],
  [
    'ERR_HTTP_REQUEST_TIMEOUT',
    { status: 408, detail: 'The request was not received completely in time', kind: 'slow-request' },
  ],
])

/** Returns the raw response, with head and body, to a request that Node's parser refused. */
export function parserProblem(error: NodeJS.ErrnoException): string {
  return closingResponse(
    byCode.get(error.code) ?? { status: 400, detail: 'The request is not valid HTTP/1.1' },
  )
}

/** Returns a raw response, with head and body, after which the connection is closed. */
export function closingResponse(problem: Problem): string {
  const { status, headers, body } = problemResponse(problem)
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, 'X-Content-Type-Options: nosniff']
  for (let index = 0; index < headers.length; index += 2)
    lines.push(`${headers[index]}: ${headers[index + 1]}`)
  lines.push(`Content-Length: ${body.length}`, `Date: ${new Date().toUTCString()}`, 'Connection: close')
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}

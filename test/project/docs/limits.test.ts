import { readFileSync } from 'node:fs'
import t from 'tap'
import {
  dataLimits,
  maxHeaderBytes,
  maxHeaders,
  maxUrlLength,
  opsLimits,
} from '../../../src/http/server/connection-limits.js'

const page = readFileSync('docs/reference/limits.md', 'utf8')

t.test('docs/reference/limits.md has the limits of the listeners', async (t) => {
  const number = (value: number) => value.toLocaleString('en')
  const seconds = (ms: number) => `${ms / 1_000} s`
  const waiting = `${dataLimits.maxWaitingBytes / 1_024 ** 2} MiB; operations: ${opsLimits.maxWaitingBytes / 1_024} KiB`
  const rows: Readonly<Record<string, string>> = {
    'memory of all requests that wait for an earlier one on their connection': waiting,
    'memory of requests in progress with headers over 4 KiB': waiting,
    'connections to the operations listener': `${number(opsLimits.maxConnections)}, each idle for at most ${seconds(opsLimits.idleTimeoutMs)}`,
    'request line and headers': `${maxHeaderBytes / 1_024} KiB`,
    'number of headers': number(maxHeaders),
    URL: `${number(maxUrlLength)} characters`,
    'time for the headers, from the first byte': seconds(dataLimits.headersTimeoutMs),
    'time for the whole request': seconds(dataLimits.requestTimeoutMs),
    'a response of which the client reads nothing': seconds(dataLimits.readTimeoutMs),
  }
  for (const [limit, value] of Object.entries(rows)) {
    const [, , documented] =
      page
        .split('\n')
        .find((row) => row.startsWith(`| ${limit} `))
        ?.split('|') ?? []
    t.equal(documented?.trim(), value, limit)
  }
})

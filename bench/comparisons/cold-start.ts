import { fileURLToPath } from 'node:url'
import { HttpConnection } from '../../src/tools/load/http-connection.js'
import type { Comparison, Contender } from '../comparison.js'
import { freePort } from '../free-port.js'
import { Lifetime } from '../lifetime.js'
import { get } from '../load/work.js'
import { startProgram } from '../program.js'
import { quantile } from '../statistics.js'

const starts = 5
const retryMs = 2

/** Measures the time from the start of the process to its first response with a value from the database. */
export const coldStart: Comparison = {
  name: 'cold-start',
  about: 'from the start of the process to its first answer',
  rows: [
    {
      work: 'cold start to first answer',
      figure: 'startMs',
      unit: 'ms',
      of: 'sidecar',
      against: 'node:http',
      target: { atMostMore: 250 },
    },
  ],
  async open(bench) {
    const { url } = await bench.postgres.database({ rows: 1 })
    const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
    const bare = fileURLToPath(new URL('../peers/node-http.mjs', import.meta.url))
    return [
      contender('sidecar', [process.execPath, main, 'serve'], { DATABASE_URL: url }),
      contender('node:http', [process.execPath, bare], { BODY: '{}' }),
    ]
  },
}

function contender(
  name: string,
  command: readonly string[],
  environment: Readonly<Record<string, string>>,
): Contender {
  return {
    name,
    measure: async () => {
      const times: number[] = []
      for (let start = 0; start < starts; start++) times.push(await startOnce(command, environment))
      return {
        startMs: quantile(
          times.sort((one, other) => one - other),
          0.5,
        ),
      }
    },
  }
}

async function startOnce(
  command: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<number> {
  const port = await freePort()
  const lifetime = new Lifetime()
  const startMs = performance.now()
  const { child } = startProgram(lifetime, command, {
    on: 'server',
    environment: { ...environment, PORT: String(port), OPS_PORT: '0' },
  })
  child.stdout?.resume()
  child.stderr?.resume()
  try {
    const connection = await untilConnected(port)
    const status = await new Promise((resolve) => {
      connection.onAnswer = resolve
      connection.send(get('/cache/get?key=key:1'))
    })
    const tookMs = performance.now() - startMs
    connection.close()
    if (status !== 200) throw new Error(`the first answer was ${status}`)
    return tookMs
  } finally {
    await lifetime.end()
  }
}

async function untilConnected(port: number): Promise<HttpConnection> {
  const deadlineMs = performance.now() + 30_000
  for (;;) {
    try {
      return await HttpConnection.open({ port })
    } catch (error) {
      if (performance.now() > deadlineMs) throw error
      await new Promise((resolve) => setTimeout(resolve, retryMs))
    }
  }
}

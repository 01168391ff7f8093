/*
 * Sends requests that are generated from the OpenAPI document to a sidecar. FUZZ_REQUESTS is their number, FUZZ_SEED
 * repeats a run: `npm run fuzz` sends 200,000.
 */
import { Agent } from 'node:http'
import fc from 'fast-check'
import t from 'tap'
import { serve, untilLive } from '../support/child-process.js'
import { freshDatabase } from '../support/database.js'
import { type Answer, JsonClient } from '../support/json-client.js'
import { Documented, type DocumentedOperation, type OpenApi } from '../support/openapi/documented.js'
import { ResidentSize } from '../torture/resident-size.js'
import { type FuzzRequest, requestsOf } from './requests.js'

const total = Number(process.env.FUZZ_REQUESTS ?? 400)
const seed = Number(process.env.FUZZ_SEED ?? 20)
const batchSize = 500
const atOnce = 8
const mebibyte = 1024 * 1024
/** More than the noise of the garbage collection, and less than 1 KiB for each of 200,000 requests. */
const mayGrowBytes = 96 * mebibyte
/** Statuses of a request that no operation has. */
const undocumented = new Set([404, 405, 501])

const { url } = await freshDatabase(t)
const served = await serve(t, { DATABASE_URL: url, CACHE_MAX_VALUE_BYTES: String(mebibyte) })
await untilLive(served)
const agent = new Agent({ keepAlive: true, maxSockets: atOnce })
t.teardown(() => agent.destroy())
const client = new JsonClient(served.client.base, agent)
const document = JSON.parse((await client.request('GET', '/openapi.json')).text) as OpenApi
const documented = new Documented(document)
const requests = requestsOf(documented.operations, document.components.schemas)
const problem = document.components.schemas.Problem as object

/** Returns everything that is wrong with a response. */
function faultsOf(request: FuzzRequest, answer: Answer): string[] {
  const { status } = answer
  const found: string[] = []
  if (status >= 500 && status !== 503 && !isExpected(request, status)) found.push(`status ${status}`)
  if (request.isValid && [400, 415, 422].includes(status)) found.push(`a valid request gets ${status}`)
  const operation = operationOf(request)
  if (operation !== undefined) return [...found, ...documented.faults(operation, answer)]
  if (request.method === 'OPTIONS' && status === 200) return found
  if (!undocumented.has(status) && !(String(status) in request.operation.responses))
    found.push(`undocumented request gets ${status}`)
  if (status === 405 && answer.headers.allow === undefined) found.push('405 without Allow')
  if (status >= 400 && request.method !== 'HEAD')
    found.push(...documented.schemaFaults(problem, JSON.parse(answer.text)))
  return found
}

/** 504 answers only-if-cached, and 501 an unknown method. */
function isExpected({ headers, method }: FuzzRequest, status: number): boolean {
  return (
    (status === 504 && headers['Cache-Control']?.toLowerCase().includes('only-if-cached') === true) ||
    (status === 501 && method === 'PROPFIND')
  )
}

/** Returns the operation that answers a request; undefined if the document has none. */
function operationOf({ method, target }: FuzzRequest): DocumentedOperation | undefined {
  // As the client sends it: without `..`.
  const path = new URL(`http://localhost${target}`).pathname
  const match = ({ path: template }: DocumentedOperation) =>
    template === path || (template.endsWith('{key}') && path.startsWith(template.slice(0, -5)))
  const ofPath = documented.operations.filter(match)
  const found = ofPath.find((operation) => operation.method === method)
  if (found !== undefined || method !== 'HEAD') return found
  const get = ofPath.find((operation) => operation.method === 'GET')
  return get && { ...get, method: 'HEAD' }
}

t.test(`${total} requests, FUZZ_SEED=${seed}`, { timeout: 0 }, async (t) => {
  const statuses = new Map<string, number>()
  const bad: string[] = []
  const size = new ResidentSize(served.child.pid as number)
  t.teardown(() => size.close())
  for (let batch = 0; batch * batchSize < total; batch++) {
    const numRuns = Math.min(batchSize, total - batch * batchSize)
    const waiting = fc.sample(requests, { numRuns, seed: seed + batch })
    const send = async () => {
      for (let request = waiting.pop(); request !== undefined; request = waiting.pop()) {
        const { method, target, headers, body } = request
        const answer = await client.request(method, target, {
          headers,
          ...(body !== undefined && { raw: body }),
        })
        const { id } = request.operation
        statuses.set(`${id} ${answer.status}`, (statuses.get(`${id} ${answer.status}`) ?? 0) + 1)
        const faults = faultsOf(request, answer)
        if (faults.length > 0 && bad.length < 20)
          bad.push(
            `${method} ${target} ${JSON.stringify({ headers, body })}: ${faults.join('; ')}`.slice(0, 800),
          )
      }
    }
    await Promise.all(Array.from({ length: atOnce }, send))
  }
  for (const [name, count] of [...statuses].sort()) t.comment(`${name}: ${count}`)
  t.strictSame(bad, [])
  const [start, middle, end] = size.peaksByThird()
  t.comment(`resident MiB: ${[start, middle, end].map((bytes) => Math.round(bytes / mebibyte)).join(', ')}`)
  t.ok(end - middle < mayGrowBytes, 'memory does not grow')
})

import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { listOf } from '../../../src/http/routes/endpoint.js'
import { createEndpoints, type EndpointsOptions } from '../../../src/http/routes/endpoints.js'
import { openApiDocument } from '../../../src/http/routes/openapi/document.js'

const published = fileURLToPath(new URL('openapi-document.txt', import.meta.url))

// A description depends on none of the parts that endpoints use.
const options = { version: 'V', bodies: { largestBytes: 0 }, onShutdown: () => undefined }
const endpoints = createEndpoints(options as unknown as EndpointsOptions)

/** Returns a line for each text, number and truth value in a document, with the path to it. */
function linesOf(node: unknown, path = ''): readonly string[] {
  if (typeof node !== 'object' || node === null) return [`${path} = ${JSON.stringify(node)}`]
  const members = Object.entries(node)
  if (members.length === 0) return [`${path} = ${JSON.stringify(node)}`]
  return members.flatMap(([name, member]) => linesOf(member, path === '' ? name : `${path} ${name}`))
}

t.test('the description of the API is the published one', async (t) => {
  const lines = linesOf(openApiDocument(endpoints, 'V'))
  // A change of the API must be seen in review: UPDATE_OPENAPI=1 npx tap test/unit/http/openapi-document.test.ts
  if (process.env.UPDATE_OPENAPI === '1') await writeFile(published, `${lines.join('\n')}\n`)
  t.strictSame(lines, (await readFile(published, 'utf8')).trimEnd().split('\n'))
})

t.test('the list of endpoints has those for applications, with their queries', async (t) => {
  t.strictSame(listOf(endpoints), [
    'GET /health',
    'GET /cache/get?key=',
    'POST /cache/set',
    'DELETE /cache/delete?key=',
    'GET /v1/entries/{key}',
    'PUT /v1/entries/{key}',
    'DELETE /v1/entries/{key}',
    'POST /v1/entries:get',
    'GET /v1/entries?prefix=&limit=&after=',
    'GET /v1/entries:count?prefix=',
    'POST /v1/entries:batch',
    'POST /v1/invalidate',
    'GET /v1/changes?prefix=',
    'POST /v1/changes:prove',
    'GET /cache/stats',
    'GET /openapi.json',
  ])
})

// Writes dist/openapi.json, which describes all endpoints that a sidecar can have. npm calls it before it packs.
import { readFile, writeFile } from 'node:fs/promises'

const { createEndpoints } = await import('../dist/http/routes/endpoints.js')
const { openApiDocument } = await import('../dist/http/routes/openapi/document.js')

const { version } = JSON.parse(await readFile('package.json', 'utf8'))
// The descriptions depend on none of these.
const endpoints = createEndpoints({ version, bodies: { largestBytes: 0 }, onShutdown: () => undefined })
await writeFile('dist/openapi.json', `${JSON.stringify(openApiDocument(endpoints, version), null, 2)}\n`)

import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import pg from 'pg'

/**
 * A first attempt of an application: bare node:http, pg's default pool (10 connections), and STATEMENT for each POST.
 */
const { DATABASE_URL, STATEMENT, PORT } = process.env
const pool = new pg.Pool({ connectionString: DATABASE_URL })
createServer(async (request, response) => {
  const { key, value } = JSON.parse(await text(request))
  const { rows } = await pool.query({ name: 'write', text: STATEMENT, values: [key, value] })
  const body = JSON.stringify({ ok: true, version: rows[0].version })
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) })
  response.end(body)
}).listen(Number(PORT), '127.0.0.1')
// Not at once, so that a profiler can write what it saw.
process.once('SIGTERM', () => process.exit())

/** Stands in for the program `pg_isready`: exits with 0 if the server accepts connections, whatever the password. */
import { parseArgs } from 'node:util'
import pg from 'pg'

const { values } = parseArgs({
  options: { host: { type: 'string' }, username: { type: 'string' }, dbname: { type: 'string' } },
})
const client = new pg.Client({
  host: values.host ?? '/var/run/postgresql',
  user: values.username ?? 'postgres',
  database: values.dbname ?? 'postgres',
  password: '',
  connectionTimeoutMillis: 3_000,
})
try {
  await client.connect()
  await client.end()
} catch (error) {
  const { code = '' } = error as { readonly code?: string }
  // An SQLSTATE other than "starting up" is an answer of a server that accepts connections. So is its request for a
  // password, to which pg has no answer.
  const isAnswer = (/^[0-9A-Z]{5}$/.test(code) && code !== '57P03') || String(error).includes('password')
  process.exitCode = isAnswer ? 0 : 2
}
process.exit()

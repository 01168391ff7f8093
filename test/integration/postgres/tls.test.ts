import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import t from 'tap'
import { postgresAccount } from '../../../src/dev/postgres-account.js'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { CertificateAuthority } from '../../support/certificates.js'
import { CliProcess } from '../../support/child-process.js'
import { ownServer } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { startLiveSidecar, startSidecar } from '../../support/sidecar.js'

const folder = await mkdtemp(join(tmpdir(), 'caching-layer-test-'))
t.teardown(() => rm(folder, { recursive: true }))
// The server may be another user.
await chmod(folder, 0o755)

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, text, { mode: 0o600 })
  return path
}

const authority = await CertificateAuthority.create('ours')
const stranger = await CertificateAuthority.create('not ours')
const ca = await file('ca.crt', authority.certificate)
const wrongCa = await file('wrong-ca.crt', stranger.certificate)

const ofServer = await authority.sign('a database', ['localhost'])
const serverFiles = {
  ssl_ca_file: ca,
  ssl_cert_file: await file('server.crt', ofServer.certificate),
  ssl_key_file: await file('server.key', ofServer.key),
}
const account = postgresAccount()
for (const path of Object.values(serverFiles)) if (account) await chown(path, account.uid, account.gid)

const server = await ownServer(t, { ssl: 'on', ...serverFiles })
const plain = await ownServer(t)
await (async () => {
  const client = new pg.Client({ connectionString: server.url() })
  await client.connect()
  await client.query('create role by_certificate login superuser')
  // Only TLS connections are accepted from here on.
  await writeFile(
    join(server.dataDir, 'cluster', 'pg_hba.conf'),
    'hostssl all by_certificate all cert\nhostssl all all all trust\n',
  )
  await client.query('select pg_reload_conf()')
  await client.end()
  await eventually(() =>
    migrate(server.url()).then(
      () => false,
      () => true,
    ),
  )
})()

/** Returns a URL as a user would write it. */
function urlOf(host: string, parameters: Readonly<Record<string, string>>): string {
  return `postgresql://postgres@${host}:${server.port}/postgres?${new URLSearchParams(parameters)}`
}

const verified = urlOf('localhost', { sslmode: 'verify-full', sslrootcert: ca })

t.test('with the right authority every connection uses TLS', async (t) => {
  const migrated = new CliProcess(t, ['migrate'], { DATABASE_URL: verified })
  t.same(await migrated.exited, { code: 0, signal: null }, migrated.stderr)

  const { client } = await startLiveSidecar(t, { databaseUrl: verified, migrate: true })
  t.equal((await client.set('foo', 'bar')).body.db_written, true)
  t.equal(await client.held('foo'), 'bar')

  const sql = new pg.Client({ connectionString: verified })
  await sql.connect()
  t.teardown(() => sql.end())
  await sql.query("update cache_entries set value = 'by SQL' where key = 'foo'")
  await eventually(async () => (await client.value('foo')) === 'by SQL')
  const { rows } = await sql.query<{ name: string; ssl: boolean }>(
    `select distinct application_name as name, ssl from pg_stat_ssl join pg_stat_activity using (pid)
     where application_name like 'caching-layer%' order by 1`,
  )
  t.same(rows, [
    { name: 'caching-layer', ssl: true },
    { name: 'caching-layer changes', ssl: true },
  ])
})

t.test('a client certificate is sent', async (t) => {
  const certified = await authority.sign('by_certificate')
  const parameters = {
    sslmode: 'verify-full',
    sslrootcert: ca,
    sslcert: await file('client.crt', certified.certificate),
    sslkey: await file('client.key', certified.key),
  }
  const url = urlOf('localhost', parameters).replace('postgres@', 'by_certificate@')
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  t.equal((await client.set('certified', 1)).body.db_written, true)

  const forged = await stranger.sign('by_certificate')
  const wrong = {
    ...parameters,
    sslcert: await file('forged.crt', forged.certificate),
    sslkey: await file('forged.key', forged.key),
  }
  await t.rejects(migrate(urlOf('localhost', wrong).replace('postgres@', 'by_certificate@')))
  await t.rejects(migrate(verified.replace('postgres@', 'by_certificate@')), /certificate/)
})

const refused: readonly (readonly [name: string, url: string, reason: RegExp])[] = [
  [
    'another authority',
    urlOf('localhost', { sslmode: 'verify-full', sslrootcert: wrongCa }),
    /certificate is signed by no authority that sslrootcert names/,
  ],
  [
    'no authority, and a private one signed it',
    urlOf('localhost', { sslmode: 'verify-full' }),
    /certificate is signed by no authority that sslrootcert names/,
  ],
  [
    'another host name',
    urlOf('127.0.0.1', { sslmode: 'verify-full', sslrootcert: ca }),
    /certificate is for another host name: .*127\.0\.0\.1/,
  ],
  ['a server without TLS', verified.replace(String(server.port), String(plain.port)), /does not support SSL/],
  [
    'no file of authorities',
    urlOf('localhost', { sslmode: 'verify-full', sslrootcert: join(folder, 'missing') }),
    /missing/,
  ],
]

for (const [name, url, reason] of refused) {
  t.test(`refused: ${name}`, async (t) => {
    const { client, log } = await startSidecar(t, { databaseUrl: url, migrate: false })
    const line = log.map((text) => JSON.parse(text)).find(({ msg }) => msg === 'no change feed; trying again')
    t.match(line?.reason, reason, 'the log says why')
    const { status, feed, reason: shown } = (await client.request('GET', '/health')).body
    t.same([status, feed], ['ok', 'down'])
    t.match(shown, /certificate is|support SSL|ENOENT/, 'so does /health, without names')
    t.notMatch(shown, /127\.0\.0\.1|localhost|missing|\//)
    t.equal((await client.get('foo')).status, 503)
    await t.rejects(migrate(url), reason)
  })
}

t.test('the command reports a TLS error in one line', async (t) => {
  const migrated = new CliProcess(t, ['migrate', '--status'], { DATABASE_URL: refused[0]?.[1] ?? '' })
  t.same(await migrated.exited, { code: 1, signal: null })
  t.match(migrated.stderr, /^caching-layer: [^\n]*no authority that sslrootcert names[^\n]*\n$/)
})

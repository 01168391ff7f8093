import pg from 'pg'
import t, { type Test } from 'tap'
import { CacheError } from '../../../src/core/errors.js'
import { keyHash } from '../../../src/core/state/key-hash.js'
import { statementFailed } from '../../../src/postgres/pool/errors.js'
import { createLog } from '../../../src/telemetry/log/log.js'
import { CliProcess, clientOf, serve, untilLive } from '../../support/child-process.js'
import { cacheDatabase, freshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { guestOf } from '../../support/guest.js'

/** Returns the output of one call. */
function written(log: (logger: ReturnType<typeof createLog>) => void): string {
  let text = ''
  log(
    createLog('trace', {
      write: (line: string) => {
        text += line
      },
    }),
  )
  return text
}

t.test('URLs are logged without password and query, wherever they occur', async (t) => {
  for (const url of [
    'postgresql://user:pa55word@host:5432/database',
    'postgres://user:pa55@word@host/database?sslmode=verify-full&password=pa55word',
    'http://:pa55word@proxy:3128',
    'postgresql://host/database?user=me&password=pa55word',
  ]) {
    for (const text of [
      written((log) => log.warn({ reason: `cannot connect to ${url} now` }, 'lost')),
      written((log) => log.error({ err: new Error(`Invalid URL: "${url}"`) }, 'failed')),
      written((log) => log.error({ err: new Error('outer', { cause: new Error(url) }) }, 'failed')),
    ]) {
      t.notMatch(text, /pa55|word/)
      t.equal(text.split('\n').length, 2, 'one line')
    }
  }
  t.match(
    written((log) => log.warn({ reason: 'at postgresql://user:secret@host:5432/database' }, 'lost')),
    'postgresql://user@host:5432/database',
    'what helps stays',
  )
  const plain = 'connect ECONNREFUSED 127.0.0.1:5432, see https://example.org/a#b'
  t.match(
    written((log) => log.warn({ reason: plain }, 'lost')),
    plain,
  )
})

t.test('an error is logged with type, message, code and stack, and nothing else', async (t) => {
  const cause = Object.assign(new pg.DatabaseError('duplicate key', 10, 'error'), {
    code: '23505',
    detail: 'Key (key)=(s3cret) already exists.',
  })
  const error = Object.assign(new CacheError('refused', 'not taken', { cause }), { row: 's3cret' })
  const text = written((log) => log.error({ err: error }, 'failed'))
  t.notMatch(text, 's3cret')
  t.match(JSON.parse(text), {
    err: { type: 'CacheError', message: 'not taken', code: 'refused', stack: /log.test/ },
  })
  t.match(
    written((log) => log.error({ err: 'no error at all' }, 'failed')),
    'no error at all',
  )
})

t.test('messages of the server are logged only if they cannot contain data', (t) => {
  const said = (code: string) =>
    statementFailed(
      Object.assign(new pg.DatabaseError('it said s3cret', 14, 'error'), { code, severity: 'ERROR' }),
      'write',
    ).message
  // The last one is of a trigger's author.
  for (const state of ['22P02', '23505', 'P0001', 'MY001']) t.notMatch(said(state), 's3cret')
  t.match(said('MY001'), 'SQLSTATE MY001')
  t.match(said('42501'), 'it said s3cret', 'permission denied for which table')
  t.end()
})

t.test('members with the name of a secret are not logged', async (t) => {
  const text = written((log) =>
    log.info({ value: 's3cret', request: { authorization: 's3cret', token: 's3cret' }, key: 'k' }, 'm'),
  )
  t.notMatch(text, 's3cret')
  t.match(JSON.parse(text), { value: '***', request: { authorization: '***' }, key: 'k' })
})

const secrets = ['pa55word', 's3cret']

function tellsNothing(t: Test, { stderr, stdout }: CliProcess): void {
  for (const secret of secrets) t.notMatch(stderr + stdout, secret)
}

t.test('at the most verbose level no failure logs a secret or data', async (t) => {
  const database = await freshDatabase(t)
  const guest = await guestOf(t, database)
  const sidecar = await serve(t, {
    DATABASE_URL: guest.url,
    LOG_LEVEL: 'trace',
    CACHE_MAX_STALENESS_MS: '500',
  })
  await untilLive(sidecar)
  const { client, ops } = sidecar
  await client.set('s3cret-key', 's3cret-value')
  // The database refuses the data, and quotes it.
  await database.query(`create function objects() returns trigger language plpgsql as $$
    begin raise exception 'not %', new.value using errcode = '23514', detail = new.value; end $$`)
  await database.query(
    'create trigger objects before insert on cache_entries for each row execute function objects()',
  )
  t.equal((await client.set('s3cret-refused', 's3cret-value')).status, 422)
  await database.query('drop trigger objects on cache_entries')
  for (const target of [
    '/cache/get?key=s3cret-key&token=s3cret-token',
    '/cache/get?key=%ff',
    '/nothing?value=s3cret-value',
  ])
    await client.request('GET', target, {
      headers: { authorization: 'Bearer s3cret-token', 'cache-token': 's3cret-token' },
    })
  await client.request('POST', '/cache/set', { raw: '{"key":"s3cret-key","value":"s3cret-value"' })
  // A notification that cannot be read, and an outage with writes that are kept and given up.
  const {
    rows: [row],
  } = await database.query<{ channel: string }>("select cache_channel('public', 'cache_entries') as channel")
  await database.query("select pg_notify($1, 's3cret-value')", [row?.channel])
  await eventually(() => sidecar.log.filter(({ msg }) => msg === 'change feed live').length === 2)
  await guest.shutOut()
  await eventually(async () => (await client.set('s3cret-kept', 's3cret-value')).body.db_written === false)
  await client.get('s3cret-key')
  await database.query("insert into cache_entries (key, value) values ('s3cret-kept', 's3cret-value')")
  await guest.letIn()
  await eventually(async () => (await client.stats()).writes.pending_conflicts === 1)
  for (const probe of ['/livez', '/readyz', '/startupz', '/metrics']) await ops.request('GET', probe)
  await client.request('GET', '/health')
  sidecar.kill('SIGTERM')
  await sidecar.exited
  tellsNothing(t, sidecar)
  t.notMatch(sidecar.stderr, new URL(guest.url).password)
  t.notMatch(sidecar.stderr, /livez|readyz|startupz|\/metrics|\/health/, 'probes are not logged')
  const said = sidecar.log.map(({ msg }) => msg)
  t.ok(said.includes('The database refused the value'), 'refusals are, at this level')
  t.match(
    sidecar.log.find(({ msg }) => /given up/.test(String(msg))),
    { level: 40, keyHash: keyHash('s3cret-kept') },
    'which write was given up can be found out, by who knows the key',
  )
  const catchingUp = { level: 30, msg: 'change feed catching up' }
  const live = { level: 30, msg: 'change feed live', was: 'catching-up', forMs: Number, reason: String }
  const feed = sidecar.log.filter(({ msg }) => /^change feed/.test(String(msg)))
  t.match(feed.slice(0, 5), [
    { ...catchingUp, was: 'down', forMs: Number, reason: 'connected and listening' },
    live,
    { ...catchingUp, was: 'live', forMs: Number, reason: 'more has changed than was named' },
    live,
    { level: 40, msg: 'change feed lost', was: 'live', forMs: Number, reason: /./ },
  ])
  t.match(feed.at(-1), live, 'and it is back')
})

t.test('a wrong password, a missing host and an invalid URL log no secret', async (t) => {
  const { url } = await cacheDatabase(t)
  const wrong = Object.assign(new URL(url), { username: 'nobody_of_that_name', password: 'pa55word' })
  const nowhere = 'postgresql://user:pa55word@host.invalid:5432/database?password=pa55word'
  for (const databaseUrl of [wrong.href, nowhere]) {
    const sidecar = new CliProcess(t, ['serve'], {
      DATABASE_URL: databaseUrl,
      LOG_LEVEL: 'trace',
      PORT: '0',
      OPS_PORT: '0',
    })
    const client = await clientOf(sidecar, 'serving')
    await client.get('k')
    t.notMatch((await client.request('GET', '/')).text, 'pa55word')
    sidecar.kill('SIGTERM')
    await sidecar.exited
    tellsNothing(t, sidecar)
    t.ok(sidecar.log.some(({ msg }) => msg === 'no change feed; trying again'))
  }
  const refused = new CliProcess(t, ['serve'], { DATABASE_URL: 'pa55word://user:pa55word@host' })
  t.equal((await refused.exited).code, 2)
  tellsNothing(t, refused)
})

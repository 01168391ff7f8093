import t, { type Test } from 'tap'
import { examine } from '../../../src/tools/doctor/doctor.js'
import type { Finding } from '../../../src/tools/doctor/finding.js'
import { eventually } from '../../support/eventually.js'
import { type Script, type ScriptedPostgres, scriptedPostgres } from '../../support/scripted-postgres.js'

/** Examines a database by these URLs. */
async function examined(databaseUrl: string, databaseListenUrl = databaseUrl) {
  const findings: Finding[] = []
  for await (const finding of examine({
    ...{
      databaseUrl,
      databaseListenUrl,
      databaseReadUrls: [],
      databasePoolSize: 2,
      databaseTimeoutMs: 2_000,
    },
    ...{ maxStalenessMs: 3_000, sidecars: undefined, now: Date.now },
  }))
    findings.push(finding)
  return findings
}

const untilClosed = ({ sockets }: ScriptedPostgres) =>
  eventually(() => sockets.every(({ destroyed }) => destroyed))

/** Examines a database whose listening session leads to another server. Returns what concerns that session. */
async function examinedListener(t: Test, script: Script) {
  const [server, listening] = [await scriptedPostgres(t), await scriptedPostgres(t, script)]
  const findings = await examined(server.url, listening.url)
  await untilClosed(server)
  await untilClosed(listening)
  const skipped = findings.filter(({ says }) => says.includes('until "DATABASE_LISTEN_URL" is fixed'))
  t.strictSame(
    skipped.map(({ check }) => check),
    ['migrations', 'LISTEN'],
  )
  const checks = ['DATABASE_LISTEN_URL', 'route of DATABASE_LISTEN_URL', 'statement_timeout']
  return { ...listening, findings: findings.filter(({ check }) => checks.includes(check)) }
}

const pid = 'select pg_backend_pid() as pid'
const throughPooler = (statement: string) => (statement === pid ? [{ pid: '7' }] : [])

t.test('through a pooler, nothing of the session is changed', async (t) => {
  const { findings, startups, statements } = await examinedListener(t, { answer: throughPooler })
  t.match(findings, [{ check: 'route of DATABASE_LISTEN_URL', level: 'bad', says: 'through a pooler' }])
  t.equal(findings.length, 1)
  t.match(startups, { length: 1 })
  t.match(
    startups[0],
    '-c idle_session_timeout=0 -c tcp_user_timeout=12000\0',
    'it is opened as that of the feed',
  )
  t.strictSame(statements, [pid])
})

t.test('a pooler that refuses the options of the session is found without them', async (t) => {
  const { findings, startups } = await examinedListener(t, {
    answer: throughPooler,
    refuse: (startup) =>
      startup.includes('tcp_user_timeout') ? 'unsupported startup parameter: options' : undefined,
  })
  t.match(findings, [{ check: 'route of DATABASE_LISTEN_URL', level: 'bad', says: 'through a pooler' }])
  t.equal(findings.length, 1)
  t.match(startups, { length: 2 })
})

t.test('a server that refuses the listening session is named by its setting', async (t) => {
  const { findings } = await examinedListener(t, { refuse: () => 'not here' })
  t.match(findings, [{ check: 'DATABASE_LISTEN_URL', level: 'bad', says: 'not here (SQLSTATE 08P01)' }])
  t.equal(findings.length, 1)
})

t.test('a timeout that ends every statement of the listening session is found', async (t) => {
  const { findings } = await examinedListener(t, {
    answer: () => ({ code: '57014', message: 'canceling statement due to statement timeout' }),
  })
  t.match(findings, [
    {
      check: 'statement_timeout',
      level: 'bad',
      says: 'too short for any statement of the listening session',
      cure: /^raise statement_timeout for this role/,
    },
  ])
  t.equal(findings.length, 1)
})

t.test('a statement of the listening session that fails is reported with its reason', async (t) => {
  const { findings } = await examinedListener(t, {
    answer: () => ({ code: '53100', message: 'no space left' }),
  })
  t.match(findings, [
    {
      check: 'DATABASE_LISTEN_URL',
      level: 'bad',
      says: 'no space left (SQLSTATE 53100)',
      cure: /disk space/,
    },
  ])
  t.equal(findings.length, 1)
})

t.test('both URLs are checked, and one that is the same only once', async (t) => {
  const { url } = await scriptedPostgres(t)
  const parametersOf = (findings: readonly Finding[]) =>
    findings.filter(({ check }) => check.startsWith('parameters')).map(({ check, level }) => [check, level])
  const [own, listening] = ['parameters of DATABASE_URL', 'parameters of DATABASE_LISTEN_URL']
  t.strictSame(parametersOf(await examined(url)), [[own, 'ok']])
  t.strictSame(parametersOf(await examined(url, `${url}?query_timeout=1`)), [
    [own, 'ok'],
    [listening, 'bad'],
  ])
})

t.test('parameters that could end a check are not used', async (t) => {
  const server = await scriptedPostgres(t)
  const disturbing = `${server.url}?application_name=mine&statement_timeout=1`
  await examined(disturbing, `${disturbing}&lock_timeout=1`)
  await untilClosed(server)
  const names = server.startups.map((startup) => startup.split('\0'))
  t.ok(names.length > 3)
  t.notOk(names.some((words) => words.includes('mine')))
  t.notOk(names.some((words) => words[words.indexOf('statement_timeout') + 1] === '1'))
})

t.test('without a session, nothing else is checked', async (t) => {
  const { url, startups } = await scriptedPostgres(t, { refuse: () => 'not here' })
  t.match(await examined(url), [
    { check: 'parameters of DATABASE_URL', level: 'ok' },
    { check: 'DATABASE_URL', level: 'bad', says: 'not here (SQLSTATE 08P01)' },
  ])
  t.match(startups, { length: 1 })
})

t.test('an examination that is not continued leaves no session open', async (t) => {
  const server = await scriptedPostgres(t)
  const options = {
    databaseReadUrls: [],
    databasePoolSize: 2,
    databaseTimeoutMs: 2_000,
    maxStalenessMs: 3_000,
  }
  const urls = { databaseUrl: server.url, databaseListenUrl: server.url }
  for await (const { check } of examine({ ...options, ...urls, sidecars: undefined, now: Date.now }))
    if (check === 'server') break
  t.equal(server.sockets.length, 1)
  await untilClosed(server)
})

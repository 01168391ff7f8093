import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import pg from 'pg'
import type { Test } from 'tap'
import { parseArguments } from '../../src/cli/arguments.js'
import { doctor } from '../../src/cli/commands/doctor.js'
import { migrate } from '../../src/postgres/schema/migrate.js'
import type { Finding, Level } from '../../src/tools/doctor/finding.js'
import { type FreshDatabase, freshDatabase } from './database.js'
import { eventually } from './eventually.js'
import { type Guest, guestOf } from './guest.js'

/** A database with an owner, and with the role of `sql/least-privilege.sql` for sidecars. */
export interface Place {
  readonly database: FreshDatabase
  readonly superuser: pg.Client
  readonly owner: pg.Client
  readonly ownerUrl: string
  readonly ownerName: string
  /** The sidecar's role, quoted. */
  readonly role: string
  readonly url: string
}

export type Environment = Readonly<Record<string, string>>

export interface Fault {
  /** Runs as a superuser; `$role`, `$owner` and `$database` stand for their quoted names. */
  readonly sql?: string
  readonly make?: (place: Place) => Promise<void>
  /** The environment of `doctor`, where it is not the sidecar's role alone. */
  readonly environment?: (place: Place) => Environment
  readonly level?: Level
  /** The name of the check. */
  readonly check: string
  readonly says: RegExp
  readonly cure: RegExp
  /** Applies a cure that is not SQL; resolves to the environment from then on. */
  readonly apply?: (place: Place) => Environment | Promise<Environment>
}

const leastPrivilege = await readFile(new URL('../../sql/least-privilege.sql', import.meta.url), 'utf8')

export const asRole = ({ url }: Place): Environment => ({ DATABASE_URL: url })
export const asOwner = ({ ownerUrl }: Place): Environment => ({ DATABASE_URL: ownerUrl })
export const withParameter = (url: string, parameter: string) => `${url}?${parameter}`
/**
 * A database that is copied for each fault. PostgreSQL copies it only while nobody is connected to it, so roles are
 * dropped through `other`.
 */
interface Source {
  readonly template: FreshDatabase
  readonly other: FreshDatabase
  readonly owner: Guest
}

/** Tests for each fault that doctor finds it, blames nothing else, and names a cure that works. */
export async function testFaults(t: Test, faults: Readonly<Record<string, Fault>>): Promise<void> {
  const other = await freshDatabase(t)
  const template = await freshDatabase(t)
  const owner = await guestOf(t, template)
  await migrate(owner.url)
  await other.query(
    `select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = '${template.name}'`,
  )
  for (const [name, fault] of Object.entries(faults)) {
    await t.test(name, async (t) => testFault(t, await placeFor(t, { template, other, owner }), fault))
  }
}

async function testFault(t: Test, place: Place, fault: Fault): Promise<void> {
  const { check, level = 'bad', says, cure, environment = asRole } = fault
  if (fault.sql) await place.superuser.query(named(place, fault.sql))
  await fault.make?.(place)
  const before = await examined(environment(place))
  const found = before.findings.filter((finding) => finding.level === level && finding.check === check)
  t.match(found, [{ says, cure }], summary(before.findings))
  t.same(
    before.findings.filter((finding) => finding.level === 'bad').map((finding) => finding.check),
    level === 'bad' ? [check] : [],
    'nothing else is blamed',
  )
  t.equal(before.code, level === 'bad' ? 1 : 0)

  const cured = await (fault.apply?.(place) ?? applyCure(place, found[0]?.cure ?? '', environment(place)))
  // Doctor counts the listening sessions of others. Its own of the first time may not be over yet.
  await eventually(async () => {
    const { rows } = await place.superuser.query(
      "select from pg_stat_activity where datname = current_database() and application_name = 'caching-layer changes'",
    )
    return rows.length === 0
  })
  const after = await examined(cured)
  t.equal(after.code, 0, summary(after.findings))
  t.same(
    after.findings.filter((finding) => finding.level !== 'ok' && finding.check === check),
    [],
    'the cure works',
  )
}

/** Runs the command. */
export async function examined(
  environment: Environment,
): Promise<{ code: number; findings: readonly Finding[] }> {
  let json = ''
  const code = await doctor.run({
    ...parseArguments('doctor', doctor, ['--json']),
    environment,
    stop: new AbortController().signal,
    out: (line) => {
      json += line
    },
    note: () => {},
    progress: () => {},
    onHangup: () => {},
    isTerminal: false,
    stdin: () => process.stdin,
    stdout: () => process.stdout,
  })
  return { code, findings: JSON.parse(json) }
}

export const summary = (findings: readonly Finding[]) =>
  findings
    .filter(({ level }) => level !== 'ok')
    .map(({ check, level, says, cure }) => `${level} ${check}: ${says} → ${cure}`)
    .join('\n')

/** Does what the text says. */
async function applyCure(place: Place, cure: string, environment: Environment): Promise<Environment> {
  const [, sql] = /\brun as [^:]*: (.*?)(?:; then run "caching-layer migrate".*)?$/.exec(cure) ?? []
  if (sql !== undefined)
    await applySql(place, sql, /run as a superuser/.test(cure) ? place.superuser : place.owner)
  if (/run "caching-layer migrate"/.test(cure) && !cure.startsWith('if that')) await migrate(place.ownerUrl)
  return environment
}

export async function applySql(place: Place, sql: string, client = place.owner): Promise<void> {
  for (const statement of sql.split('; ')) await client.query(statement)
}

const named = ({ role, ownerName, database }: Place, sql: string) =>
  sql.replaceAll('$role', role).replaceAll('$owner', ownerName).replaceAll('$database', database.name)

async function placeFor(t: Test, { template, other, owner: guest }: Source): Promise<Place> {
  const database = await freshDatabase(t, { template: template.name })
  const name = `test_${randomUUID().replaceAll('-', '_')}`
  const role = pg.escapeIdentifier(name)
  const password = randomUUID()
  const asPsql = leastPrivilege.replaceAll(":'role'", pg.escapeLiteral(name)).replaceAll(':"role"', role)
  t.teardown(async () => {
    await database.drop()
    await other.query(`drop role if exists ${role}`)
  })
  await other.query(`alter database ${database.name} owner to ${guest.name}`)
  const ownerUrl = Object.assign(new URL(guest.url), { pathname: `/${database.name}` }).href
  const superuser = await connected(t, database.url)
  await superuser.query(asPsql)
  await superuser.query(`alter role ${role} password '${password}'`)
  const owner = await connected(t, ownerUrl)
  const url = Object.assign(new URL(database.url), { username: name, password }).href
  return { database, superuser, owner, ownerUrl, ownerName: guest.name, role, url }
}

export async function connected(t: Test, url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  t.teardown(() => client.end().catch(() => {}))
  return client
}

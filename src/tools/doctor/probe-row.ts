import { createHash, randomBytes } from 'node:crypto'
import type pg from 'pg'
import { proofIn } from '../../postgres/feed/proof.js'
import { quoteIdentifier } from '../../postgres/schema/schema-owner.js'
import { type EntryStatements, entryStatements } from '../../postgres/store/entry-statements.js'
import { databaseError, reasonOf } from './failure.js'
import { bad, type Finding, ok, warning } from './finding.js'
import { cureOfRefusal, foreignTriggers } from './refusal.js'

const check = 'probe row'
const lockTimeoutMs = 2_000

/** Statement of a sidecar, as the probe sends it. */
interface Step {
  /** Name of the operation that uses the statement, for the message. */
  readonly name: string
  readonly statement: string
  readonly values?: readonly unknown[]
  /** Rights that the statement needs. Without them it is left out, because the finding on rights reports them. */
  readonly uses?: readonly string[]
  /** Returns the fault of the rows that the statement returned; undefined if there is none. */
  readonly fault?: (rows: readonly ProbeRow[]) => string | undefined
  /** True if sidecars still work with that fault. */
  readonly isMild?: true
}

interface ProbeRow {
  readonly key: string | null
  readonly value?: string | null
}

/**
 * Runs every statement of a sidecar on a row of its own, as the sidecar's role, and rolls everything back. So this
 * finds everything that refuses or changes the writes of sidecars: row-level security, constraints, other triggers and
 * rules, locks. Nothing is announced, because notifications are sent at the commit.
 */
export async function lookAtProbeRow(
  client: pg.Client,
  { schema, missing }: { readonly schema: string; readonly missing: ReadonlySet<string> },
): Promise<readonly Finding[]> {
  const key = `caching-layer doctor ${randomBytes(8).toString('hex')}`
  const texts = entryStatements(schema)
  const steps = stepsOf(texts, schema, key).filter(
    ({ uses = [] }) => !uses.some((right) => missing.has(right)),
  )
  let failed: { readonly step: Step; readonly error: unknown } | undefined
  const mild = new Set<string>()
  await client.query('begin')
  try {
    await client.query(`select pg_catalog.set_config('lock_timeout', '${lockTimeoutMs}ms', true)`)
    for (const step of steps) {
      try {
        const { rows } = await client.query<ProbeRow>(step.statement, [...(step.values ?? [])])
        const fault = step.fault?.(rows)
        if (fault !== undefined && step.isMild) mild.add(`${step.name}: ${fault}`)
        else if (fault !== undefined) throw new Error(fault)
      } catch (error) {
        failed = { step, error }
        break
      }
    }
  } finally {
    await client.query('rollback')
  }
  const others = await foreignTriggers(client, schema)
  if (failed !== undefined) {
    const { step, error } = failed
    const cure = await cureOfRefusal(client, { error, schema, others })
    // A check constraint may be intended, and may accept the keys and values that the application really has.
    if (databaseError(error)?.code === '23514')
      return [warning(check, `${step.name}: ${reasonOf(error)}`, `if that is not intended, ${cure}`)]
    return [bad(check, `${step.name} fails: ${reasonOf(error)}`, cure)]
  }
  const done = [...new Set(steps.map(({ name }) => name))].join(', ')
  const findings = [ok(check, [`${done}: all work, and were rolled back`, ...mild].join('; '))]
  if (others.length > 0)
    findings.push(
      warning(
        'other triggers',
        others.map(({ name, owner }) => `${name} (a function of "${owner}")`).join(', ') +
          ': after each set, sidecars read the entry again',
        `if that is not intended, run as the owner: ${others
          .map(
            ({ name }) => `drop trigger ${quoteIdentifier(name)} on ${quoteIdentifier(schema)}.cache_entries`,
          )
          .join('; ')}`,
      ),
    )
  return findings
}

function stepsOf(texts: EntryStatements, schema: string, key: string): readonly Step[] {
  const mark = String(randomBytes(8).readBigUInt64BE() >> 1n)
  const [update, remove] = ['update cache_entries', 'delete cache_entries']
  const marks = ['select cache_marks', 'insert cache_marks', 'delete cache_marks']
  const isThere = (rows: readonly ProbeRow[]) =>
    rows.some((row) => row.key === key)
      ? undefined
      : 'the row is missing, or has another key than the one that was sent'
  const has = (value: string) => (rows: readonly ProbeRow[]) =>
    rows.find((row) => row.key === key)?.value === value
      ? undefined
      : 'the value that was read is not the one that was written'
  const digest = createHash('sha256').update('doctor').digest('hex')
  /** Returns the parameters for one pending write of the key `name`. */
  const kept = (name: string, value: string | null, marked: string | null) => [
    [name],
    [value],
    [null],
    [null],
    [null],
    [null],
    [null],
    [marked],
    [false],
    [],
    [],
    [],
    [null],
    [null],
    [false],
    ['{}'],
  ]
  return [
    { name: 'the position', statement: proofIn(schema) },
    { name: 'the position', statement: texts.position },
    {
      name: 'a set',
      statement: texts.writeOne,
      values: [key, 'doctor', null],
      uses: [update],
      fault: isThere,
    },
    {
      name: 'a get',
      statement: texts.readMany,
      values: [[key], 1_000],
      uses: [update],
      fault: has('doctor'),
      isMild: true,
    },
    { name: 'a get', statement: texts.readLarge, values: [[key], 1_000] },
    {
      name: 'a get',
      statement: texts.readWhatIsNotHeld,
      values: [[key], ['1'], ['0-00000000'], [null], [digest]],
    },
    { name: 'a comparison', statement: texts.versions, values: [[key], '0-00000000'] },
    {
      name: 'a set',
      statement: texts.writeMany,
      values: [[key], ['{"doctor":2}'], ['application/json']],
      uses: [update],
      fault: isThere,
    },
    {
      name: 'a get',
      statement: texts.readMany,
      values: [[key], 1_000],
      uses: [update],
      fault: has('{"doctor":2}'),
      isMild: true,
    },
    { name: 'a mark', statement: texts.mark, values: [mark], uses: marks },
    { name: 'a mark', statement: texts.positionAndMark, values: [mark], uses: ['select cache_marks'] },
    {
      name: 'a pending write',
      statement: texts.settle,
      values: kept(`${key} kept`, 'doctor', null),
      uses: [update, 'select cache_entries'],
    },
    {
      name: 'a pending write',
      statement: texts.settleMarked,
      values: kept(`${key} kept`, 'doctor', mark),
      uses: [update, 'select cache_entries', 'select cache_marks'],
    },
    {
      name: 'a pending write',
      statement: texts.settleMarkedDeletes,
      values: kept(`${key} kept`, null, mark),
      uses: [update, remove, 'select cache_entries', 'select cache_marks'],
    },
    // Constraints that are deferred to the commit are checked here.
    { name: 'a commit', statement: 'set constraints all immediate' },
    {
      name: 'a delete',
      statement: texts.remove,
      values: [[key]],
      uses: [update, remove],
      fault: isThere,
    },
  ]
}

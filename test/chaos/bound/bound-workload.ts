import { setTimeout as sleep } from 'node:timers/promises'
import { Random } from '../../support/random.js'
import { ClientLoops } from '../client-loops.js'
import type { Fleet, Member } from '../fleet/fleet.js'
import type { ReadAnswer } from '../fleet/sidecar-client.js'
import type { SqlClient } from '../fleet/sql-client.js'
import { unknownHorizonMs } from '../oracle/history.js'
import type { ReadRecord, Recorder } from '../oracle/recorder.js'
import type { BoundAccess } from './bound-access.js'
import { definitions, toggled } from './bound-definitions.js'
import { BoundPages, firstValue, makePages } from './bound-pages.js'
import { cascade, repartitioned } from './bound-relatives.js'
import {
  broadKinds,
  inTransaction,
  moved,
  type Outcomes,
  ok,
  type Planned,
  rollBackPrepared,
  rowStatements,
  toAll,
  upserted,
} from './bound-statements.js'
import {
  type BoundRow,
  boundTables,
  coldPairs,
  isCold,
  isRow,
  makeTables,
  namesOf,
  page,
  readTables,
  relabelled,
  rowAnswer,
  slow,
  slowLocks,
  tableRows,
  toggle,
  valuesOf,
  warmRows,
  written,
} from './bound-tables.js'
import { race } from './races.js'

export interface BoundWorkloadParts {
  readonly fleet: Pick<Fleet, 'members'>
  readonly sql: SqlClient
  /** Recorder of the keys of bound rows. */
  readonly recorder: Recorder
  readonly seed: number
  readonly maxStalenessMs: number
  readonly isDuringFault: () => boolean
}

type Asking = 'get' | 'entry' | 'many'
type Turn = (by: string) => Promise<unknown>

/** Pauses in ms between the operations of one client. */
const pauses = {
  reader: [0, 8],
  strongReader: [10, 40],
  sqlReader: [50, 150],
  writer: [20, 120],
  definer: [3_000, 9_000],
  mover: [500, 2_000],
  toggler: [2_000, 6_000],
  cascader: [1_000, 3_000],
  repartitioner: [6_000, 12_000],
  racer: [0, 200],
  cleaner: [1_000, 1_000],
  pager: [50, 600],
} as const

const clients: Readonly<Record<keyof typeof pauses, number>> = {
  reader: 9,
  strongReader: 4,
  sqlReader: 1,
  writer: 4,
  definer: 1,
  mover: 2,
  toggler: 1,
  cascader: 1,
  repartitioner: 1,
  racer: slow.rows.length,
  cleaner: 1,
  pager: 1,
}

/** Faults end within this number of attempts, which are 200 ms apart or more. */
const setUpAttempts = 300
/** Time in ms after which a prepared transaction belongs to nobody. */
const preparedMs = 3_000

/** Time after the bound on staleness in which a sidecar may still read from the source that a key had before. */
const slackMs = 1_000

/** Clients that change bound tables and know of no cache, and clients that read their rows through sidecars. */
export class BoundWorkload {
  readonly recorder: Recorder
  /** Transactions that were acknowledged, by their kind. */
  readonly done = new Map<string, number>()
  readonly #parts: BoundWorkloadParts
  readonly #random: Random
  readonly #pages: BoundPages
  readonly #loops: ClientLoops
  #names = 0
  /** Number of faults during which nothing is announced as a change of any key. */
  #narrow = 0
  /** Moment at which the source of all keys has last changed: they were bound. */
  #boundMs = Number.POSITIVE_INFINITY

  /** Moment by which the last statement that rewrites a table has ended. */
  #rewrittenMs = Number.NEGATIVE_INFINITY

  constructor(parts: BoundWorkloadParts) {
    this.#parts = parts
    this.recorder = parts.recorder
    this.#random = new Random(parts.seed ^ 0x3c6ef372)
    this.#loops = new ClientLoops(this.#random)
    const { sql, recorder } = parts
    const newValue = (by: string) => this.#value(by)
    this.#pages = new BoundPages({ sql, recorder, random: this.#random, newValue })
  }

  /** Creates the tables, with all rows, and binds them. Repeats that until it succeeds, or is not a matter of a fault. */
  async setUp(sql = this.#parts.sql): Promise<void> {
    this.#boundMs = Number.POSITIVE_INFINITY
    for (let attempt = 1; ; attempt++) {
      if (attempt > setUpAttempts) throw new Error('the bound tables could not be set up')
      const value = this.#value('set-up')
      const inserts = tableRows.map(
        (row) =>
          `insert into ${row.table.name} (${namesOf(row.table)}, v) values (${valuesOf(row)}, '${value}')`,
      )
      const planned: Planned = {
        kind: 'set-up',
        writes: new Map([
          ...boundTables.flatMap((table) => [...toAll(table, value)]),
          ...toAll(page, firstValue(value)),
        ]),
        run: inTransaction((client) =>
          client
            .query([makeTables, makePages(value), relabelled(value), ...inserts].join(';\n'))
            .then(() => ok),
        ),
      }
      const isDone = await this.#carryOut('set-up', planned, sql)
      if (isDone) break
      await sleep(200)
    }
    this.#boundMs = performance.now()
  }

  /** What other files need to change and to read rows. */
  get access(): BoundAccess {
    const { fleet, sql, maxStalenessMs } = this.#parts
    return {
      random: this.#random,
      maxStalenessMs,
      fleetSize: fleet.members.length,
      value: (by) => this.#value(by),
      carryOut: (by, planned) => this.#carryOut(by, planned),
      readSlowly: ({ values }, work) =>
        sql.run(async (client) => {
          await client.query('begin')
          await client.query('select pg_advisory_xact_lock($1, $2)', [slowLocks.client, values[0]])
          await work(async () => {
            const { rows } = await client.query<{ count: number }>(
              `select count(*)::int as count from pg_locks
               where locktype = 'advisory' and classid = $1::int::oid and objid = $2::int::oid`,
              [slowLocks.waiting, values[0]],
            )
            return rows[0]?.count ?? 0
          })
          await client.query('commit')
          return 'ok'
        }),
      readEverywhere: (by, row) =>
        Promise.all(
          fleet.members.map((member) => this.#ask(member, [row], { by, kind: 'default', asking: 'get' })),
        ),
    }
  }

  start(): void {
    let deck: typeof definitions = []
    const define: Turn = (by) => {
      if (deck.length === 0) deck = this.#random.shuffled(definitions)
      const [plan, ...others] = deck
      deck = others
      return plan ? this.#carryOut(by, plan(this.#value(by))) : Promise.resolve()
    }
    const turns: Record<keyof typeof clients, Turn> = {
      reader: (by) => this.#read(by, 'default'),
      strongReader: (by) => this.#read(by, 'strong'),
      sqlReader: (by) => this.#readSql(by),
      writer: (by) => this.#write(by),
      definer: define,
      mover: (by) => this.#move(by),
      pager: (by) => this.#pages.turn(by),
      toggler: (by) => this.#carryOut(by, toggled(this.#random.chance(0.5) ? null : this.#value(by))),
      cascader: (by) => this.#carryOut(by, cascade(this.#random.next(), this.#value(by))),
      repartitioner: (by) => this.#repartition(by),
      racer: (by) => this.#race(by),
      cleaner: () => this.#parts.sql.run((client) => rollBackPrepared(client, preparedMs).then(() => 'ok')),
    }
    for (const [kind, count] of Object.entries(clients) as [keyof typeof clients, number][])
      for (let index = 0; index < count; index++)
        this.#loops.start({
          pauseMs: pauses[kind],
          isReader: kind.toLowerCase().includes('reader'),
          turn: () => turns[kind](`${kind}-${index}`),
        })
  }

  stopWrites(): void {
    this.#loops.stopWrites()
  }

  stop(): Promise<void> {
    return this.#loops.stop()
  }

  /**
   * A read of several tables is one snapshot, and sees a table empty that is rewritten after the snapshot was taken, as
   * any transaction of PostgreSQL does. A default read may join it, up to L later. Such an answer says nothing.
   */
  #mayBeOfRewritten(read: ReadRecord, asking: Asking): boolean {
    const isJoined = read.kind === 'default' || read.kind === 'near'
    const joinedMs = isJoined ? this.#parts.maxStalenessMs : 0
    return (asking === 'many' || isJoined) && this.#rewrittenMs >= read.invokeMs - joinedMs
  }

  async #read(by: string, kind: 'default' | 'strong'): Promise<void> {
    const member = this.#random.pick(this.#parts.fleet.members)
    const asking = this.#random.pick<Asking>(['get', 'get', 'entry', 'many'])
    // A strong read drops what it finds outdated, and would hide that a change was not announced.
    const isAnyRow = kind === 'default' || this.#random.chance(0.05)
    const rows = this.#random
      .shuffled(asking === 'many' ? this.#rowsOfTwoTables() : readTables.flatMap(({ rows }) => rows))
      .filter((row) => isAnyRow || !isCold(row))
      .slice(0, asking === 'many' ? 6 : 1)
    // All rows of two tables may be cold.
    if (rows.length === 0) return
    const answer = await this.#ask(member, rows, { by, kind, asking })
    if (answer.kind !== 'entry') await sleep(50)
  }

  /** Reads rows through a sidecar. Resolves to the answer for the first one. */
  async #ask(
    { client, sidecar }: Member,
    rows: readonly BoundRow[],
    {
      by,
      kind,
      asking,
    }: { readonly by: string; readonly kind: 'default' | 'strong'; readonly asking: Asking },
  ): Promise<ReadAnswer> {
    const { recorder } = this.#parts
    const asked = kind === 'strong' ? ({ consistency: 'strong' } as const) : {}
    const reads = rows.map((row) =>
      recorder.beginRead({
        kind: this.#judgedAs(kind, row),
        key: row.key,
        by: `${by}, ${asking}`,
        via: sidecar.via,
      }),
    )
    const keys = rows.map(({ key }) => key)
    const answers =
      asking === 'many'
        ? await client.getEach(keys, asked)
        : [
            await (asking === 'get'
              ? client.get(keys[0] as string, asked)
              : client.getEntry(keys[0] as string, asked)),
          ]
    for (const [index, read] of reads.entries()) this.endRead(read, answers[index] as ReadAnswer, asking)
    return answers[0] as ReadAnswer
  }

  /** Records the answer to a read of a row. */
  endRead(read: ReadRecord, answer: ReadAnswer, asking: Asking = 'entry'): void {
    const { recorder, isDuringFault } = this.#parts
    const ofRow = rowAnswer(read.key, answer)
    const isVoid = ofRow.kind === 'entry' && ofRow.value === null && this.#mayBeOfRewritten(read, asking)
    recorder.endRead(read, isVoid ? { kind: 'refused' } : ofRow, isDuringFault())
  }

  /** Each table is read by a statement of its own, which takes its time if the link is slow. */
  #rowsOfTwoTables(): readonly BoundRow[] {
    return this.#random
      .shuffled(readTables)
      .slice(0, 2)
      .flatMap(({ rows }) => rows)
  }

  /**
   * A strong read asks the table that a sidecar knows to be bound. It learns of other bindings with its probes, so
   * where these change, a strong read promises no more than a default one.
   */
  #judgedAs(kind: 'default' | 'strong', { table }: BoundRow): 'default' | 'strong' {
    const isSettled = performance.now() > this.#boundMs + this.#parts.maxStalenessMs + slackMs
    return table === toggle || !isSettled ? 'default' : kind
  }

  async #readSql(by: string): Promise<void> {
    const { recorder, isDuringFault } = this.#parts
    const row = this.#random.pick(written.flatMap(({ rows }) => rows))
    const read = recorder.beginRead({ kind: 'sql', key: row.key, by, via: 'sql' })
    const value = await this.#stored(row)
    const answer: ReadAnswer =
      value === undefined
        ? { kind: 'refused' }
        : { kind: 'entry', value, source: 'db', stale: false, status: '' }
    recorder.endRead(read, answer, isDuringFault())
    if (value === undefined) await sleep(100)
  }

  /** Returns the value of a row, null if there is no row, and undefined if the server cannot be asked. */
  async #stored({ table, values }: BoundRow): Promise<string | null | undefined> {
    let value: string | null | undefined
    await this.#parts.sql.run(async (client) => {
      const { rows } = await client.query<{ v: string }>(
        `select v from ${table.name} where ${isRow(table, 1)}`,
        [...values],
      )
      value = rows[0]?.v ?? null
      return 'ok'
    })
    return value
  }

  async #write(by: string): Promise<void> {
    const random = this.#random
    const table = random.pick(written)
    const [row, other] = random.shuffled(warmRows(table)) as [BoundRow, BoundRow]
    const total = rowStatements.reduce((sum, [weight]) => sum + weight, 0)
    let left = random.between(0, total)
    const index = rowStatements.findIndex(([weight]) => {
      left -= weight
      return left < 0
    })
    const [, plan] = rowStatements.at(index) as (typeof rowStatements)[number]
    const planned = plan({ random, row, other, value: this.#value(by), lost: this.#value(`${by}-lost`) })
    if (!(await this.#carryOut(by, planned))) await sleep(50)
  }

  /**
   * Moves a row that other statements leave alone: its former key must be announced, too. Every other time, the row is
   * moved back while both keys, of which nothing is held now, are being read.
   */
  async #move(by: string): Promise<void> {
    const [one, other] = this.#random.pick(coldPairs)
    const [isOne, isOther] = [await this.#stored(one), await this.#stored(other)]
    if (!isOne && !isOther) {
      await this.#carryOut(by, upserted(one, this.#value(by)))
      return
    }
    const [from, to] = isOne ? [one, other] : [other, one]
    await this.#carryOut(by, moved(from, to, this.#value(by)))
    if (this.#random.chance(0.5)) return
    await sleep(20)
    const reads = this.#parts.fleet.members.flatMap((member) =>
      [from, to].map((row) => this.#ask(member, [row], { by, kind: 'default', asking: 'get' })),
    )
    await sleep(this.#random.between(0, 600))
    await this.#carryOut(by, moved(to, from, this.#value(by)))
    await Promise.all(reads)
  }

  async #repartition(by: string): Promise<void> {
    let isAttached: boolean | undefined
    await this.#parts.sql.run(async (client) => {
      const { rowCount } = await client.query(
        "select from pg_inherits where inhrelid = to_regclass('shop.measure_cn')",
      )
      isAttached = rowCount === 1
      return 'ok'
    })
    if (isAttached !== undefined) await this.#carryOut(by, repartitioned(isAttached ? null : this.#value(by)))
  }

  async #race(by: string): Promise<void> {
    const row = slow.rows[Number(by.split('-')[1])]
    if (row) await race(by, row, this.access)
    await sleep(this.#random.between(0, 300))
  }

  /** Binds the table that is not bound, or ends its binding, and announces nothing. */
  async toggleSilently(): Promise<void> {
    const [row] = toggle.rows as [BoundRow]
    const value = (await this.#stored(row)) ? null : this.#value('silent')
    await this.#carryOut('silent', toggled(value, true))
  }

  /** Calls `work` while no client begins a change that is announced as one of any key. */
  async withoutBroadChanges<T>(work: () => Promise<T>): Promise<T> {
    this.#narrow++
    try {
      return await work()
    } finally {
      this.#narrow--
    }
  }

  /** Runs a transaction between the records of what it writes. Returns true if it was acknowledged. */
  async #carryOut(
    by: string,
    { kind, writes, undone = new Map(), isRewrite, run }: Planned,
    sql = this.#parts.sql,
  ): Promise<boolean> {
    if (this.#narrow > 0 && broadKinds.has(kind)) return false
    const { recorder } = this.#parts
    const begin = ([key, value]: readonly [string, string | null]) =>
      recorder.beginWrite({ key, value, by: `${by}, ${kind}`, via: 'sql' })
    const handles = [...writes].map(begin)
    const lost = [...undone].map(begin)
    if (isRewrite) this.#rewrittenMs = Number.POSITIVE_INFINITY
    let outcomeOf: Outcomes | undefined
    const outcome = await sql.run(async (client) => {
      outcomeOf = await run(client)
      return 'ok'
    })
    if (isRewrite) this.#rewrittenMs = performance.now() + (outcome === 'unknown' ? unknownHorizonMs : 0)
    for (const handle of lost) recorder.endWrite(handle, 'failed')
    for (const handle of handles)
      recorder.endWrite(handle, outcome === 'ok' && outcomeOf ? outcomeOf(handle.record.key) : outcome)
    if (outcome === 'ok') this.done.set(kind, (this.done.get(kind) ?? 0) + 1)
    return outcome === 'ok'
  }

  #value(by: string): string {
    return `${by}-${this.#names++}`
  }
}

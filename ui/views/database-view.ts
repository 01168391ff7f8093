import type { DatabaseView as Answer, ShownBinding } from '../../src/http/ops/page/view-data.js'
import { byId, create, setText, whileDisabled } from '../elements.js'
import { bytes, count, milliseconds, percent, time, visible } from '../format.js'
import type { Shown } from '../navigation.js'
import type { Session } from '../session.js'
import { emptyRow, fill, row } from '../table.js'

const marks = { ok: '✔', warning: '▲', bad: '✘', skipped: '–' } as const

/** PostgreSQL as this sidecar sees it: figures, bindings, and the checks of `doctor`. */
export class DatabaseView implements Shown {
  readonly #session: Session
  readonly #check = byId<HTMLButtonElement>('check')

  constructor(session: Session) {
    this.#session = session
    this.#check.addEventListener('click', () => whileDisabled([this.#check], () => this.#inspect()))
  }

  async opened(): Promise<void> {
    const note = byId('database-note')
    setText(note, 'Asking the database …')
    try {
      const answer = await this.#session.get('database')
      this.#show(answer)
      setText(note, answer.facts ? '' : 'The database was not asked, or did not answer.')
    } catch (error) {
      setText(note, (error as Error).message)
    }
  }

  #show({ pool, attempts, errors, drains, facts, bindings }: Answer): void {
    const known = facts && {
      Server: `PostgreSQL ${facts.serverVersion}`,
      'Table cache_entries': `${facts.rows === null ? 'number of rows not known yet' : `about ${count(facts.rows)} rows`}, ${bytes(facts.tableBytes)}`,
      'Migrations applied': facts.migrations === null ? 'not readable' : count(facts.migrations),
      'Notification queue': `${percent(facts.queueUsage)} full`,
      'Rows in the outbox': facts.outboxRows === null ? 'not readable' : count(facts.outboxRows),
    }
    const figures: Readonly<Record<string, string>> = {
      ...known,
      'Rows announced from the outbox': `${count(drains.rows)} by this sidecar, in ${count(drains.statements)} statements`,
      'Connections for statements': `${pool.busy} in use, ${pool.idle} idle, at most ${pool.size}`,
      'Statements that wait for one': count(pool.waiting),
      'Attempts to reach it': `${attempts.breaker === 'closed' ? 'working' : 'failing'}: ${count(attempts.retries)} retries, given up ${count(attempts.opened)} times`,
      'Errors since the start':
        errors.map(({ code, count: times }) => `${code} ${count(times)}`).join(', ') || 'none',
    }
    const items = Object.entries(figures).map(([name, text]) => {
      const item = create('div')
      item.append(create('dt', '', name), create('dd', '', text))
      return item
    })
    byId('database').replaceChildren(...items)
    const rows = bindings.map(bindingRow)
    fill(byId('bindings'), rows.length > 0 ? rows : [emptyRow('No key is bound.', 6)])
  }

  async #inspect(): Promise<void> {
    const note = byId('findings-note')
    setText(note, 'Checking …')
    try {
      const { atMs, findings } = await this.#session.get('findings')
      const rows = findings.map(({ check, level, says, cure }) => {
        const text = create('div', '', says)
        if (cure !== undefined) text.append(create('p', 'cure', `What to do: ${cure}`))
        return row([
          { content: `${marks[level]} ${check}`, className: `word ${level}` },
          { content: text, className: '' },
        ])
      })
      fill(byId('findings'), rows)
      const bad = findings.filter(({ level }) => level === 'bad').length
      const found = bad === 0 ? 'nothing has to be repaired' : `${count(bad)} to repair`
      setText(note, `${count(findings.length)} checks at ${time(atMs)}: ${found}`)
    } catch (error) {
      setText(note, (error as Error).message)
    }
  }
}

function bindingRow({
  pattern,
  source,
  announce,
  fault,
  hits,
  misses,
  reads,
}: ShownBinding): HTMLTableRowElement {
  const { statements, keys, totalMs } = reads
  const state = create('div', '', fault ? `503: ${fault.says}` : 'usable')
  if (fault) state.append(create('p', 'cure', `What to do: ${fault.cure}`))
  return row(
    [
      { content: visible(pattern), className: 'key' },
      source,
      announce === 'outbox' ? 'outbox' : 'notification',
      hits + misses === 0 ? '–' : `${percent(hits / (hits + misses))} of ${count(hits + misses)}`,
      statements === 0
        ? 'none'
        : `${count(keys)} keys in ${count(statements)} statements of ${milliseconds(totalMs / statements)}`,
      { content: state },
    ],
    fault ? 'gap' : '',
  )
}

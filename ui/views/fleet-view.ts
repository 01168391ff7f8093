import type { FleetView as Answer } from '../../src/http/ops/page/view-data.js'
import { byId, create, setText } from '../elements.js'
import { count, duration, milliseconds, number, percent, visible } from '../format.js'
import type { Session } from '../session.js'
import { type Cell, emptyRow, refresh, row } from '../table.js'

type Member = Answer['members'][number]

const intervalMs = 5_000

const words: Readonly<Record<Member['status'], string>> = {
  ready: '● READY',
  idle: '◐ IDLE',
  degraded: '▲ DEGRADED',
  unready: '■ NOT READY',
  silent: '○ SILENT',
}

const notes: Readonly<Record<NonNullable<Answer['obstacle']>, string>> = {
  off: 'CACHE_FLEET_INTERVAL_MS=0: this sidecar does not look at the fleet.',
  idle: 'This sidecar is idle and leaves the database alone, so the list is as it was last seen.',
  failed: 'The list could not be read. caching-layer doctor names what is wrong.',
}

/** The sidecars of the database. */
export class FleetView {
  readonly #session: Session
  readonly #note = byId('fleet-note')
  readonly #body = byId('fleet')

  constructor(session: Session) {
    this.#session = session
    setInterval(() => {
      if (!document.hidden && document.body.dataset.access === 'granted') this.load()
    }, intervalMs)
  }

  /** Shows the fleet as it is now. */
  async load(): Promise<void> {
    try {
      this.#show(await this.#session.get('fleet'))
    } catch (error) {
      setText(this.#note, (error as Error).message)
    }
  }

  #show(fleet: Answer): void {
    const { members, obstacle } = fleet
    const sidecars = members.length === 1 ? '1 sidecar' : `${count(members.length)} sidecars`
    setText(this.#note, obstacle ? notes[obstacle] : sidecars)
    const rows = members.map((member) => rowOf(member, fleet))
    refresh(this.#body, rows.length > 0 ? rows : [emptyRow('No sidecar has announced itself yet.', 7)])
  }
}

function rowOf(member: Member, fleet: Answer): HTMLTableRowElement {
  const { status, lagMs, hitRatio, readsPerSecond, entries, version, seenMsAgo } = member
  const isSeen = status !== 'silent' && status !== 'idle'
  return row([
    nameOf(member, fleet),
    // Another version of the sidecar may have another state.
    { content: words[status] ?? visible(status), className: `status ${status}` },
    isSeen ? milliseconds(lagMs) : '–',
    isSeen ? `${percent(hitRatio ?? undefined)} of ${number(readsPerSecond)}/s` : '–',
    count(entries),
    visible(version),
    { content: `${duration(seenMsAgo)} ago`, className: 'time' },
  ])
}

function nameOf(member: Member, fleet: Answer): Cell {
  const { host, pagePort, isSelf } = member
  const name = visible(pagePort === null ? host : `${host}:${pagePort}`)
  if (isSelf) return { content: `${name} (this one)`, className: 'name' }
  const href = addressOf(member, fleet)
  if (href === undefined) return { content: name, className: 'name' }
  const link = create('a', '', name)
  link.href = href
  return { content: link, className: 'name' }
}

/**
 * Returns the address of a sidecar's page; undefined if there is none. A sidecar on the same machine is reached by the
 * same name as this one, unless this one is reached through a proxy or a forwarded port.
 */
function addressOf({ host, address, pagePort }: Member, fleet: Answer): string | undefined {
  if (pagePort === null) return undefined
  const isDirect = location.port === String(fleet.pagePort)
  if (host === fleet.host && isDirect)
    return `${location.protocol}//${location.hostname}:${pagePort}${location.pathname}`
  // The address comes from the database, where others may write, too.
  if (address === null || !/^[\da-f.:]+$/i.test(address)) return undefined
  return `http://${address.includes(':') ? `[${address}]` : address}:${pagePort}/ui/`
}

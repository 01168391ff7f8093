import type { Opening, Overview } from '../../src/http/ops/page/page-data.js'
import { byId, create, setText, update } from '../elements.js'
import { duration, milliseconds } from '../format.js'

type Status = Overview['status']

const verdicts: Readonly<Record<Status, string>> = {
  ready: 'READY',
  idle: 'READY',
  degraded: 'DEGRADED',
  unready: 'NOT READY',
}

/** Shapes, so that the state does not depend on a colour. */
const marks: Readonly<Record<Status, string>> = { ready: '●', idle: '◐', degraded: '▲', unready: '■' }

/** The header, and the state with its reasons and cures. */
export class StateView {
  readonly #section = byId('state')
  readonly #reasons = byId('reasons')

  open({ version, host }: Opening): void {
    setText(byId('version'), version)
    setText(byId('host'), host)
    document.title = `${host} – caching-layer`
  }

  show(overview: Overview): void {
    const { status, reasons, upMs } = overview
    document.body.dataset.connected = 'true'
    setText(byId('uptime'), duration(upMs))
    this.#verdict(status, verdicts[status], marks[status], summaryOf(overview))
    this.#showReasons(reasons)
  }

  lost(): void {
    document.body.dataset.connected = 'false'
    this.#verdict(
      'unknown',
      'NO CONNECTION',
      '○',
      'The sidecar does not answer. This page tries again every second.',
    )
    this.#showReasons([
      {
        text: 'What is below was true when the connection was lost.',
        cure: 'Check that the process runs, and that this address still leads to it.',
      },
    ])
  }

  #verdict(status: string, verdict: string, mark: string, summary: string): void {
    this.#section.dataset.status = status
    setText(byId('verdict'), verdict)
    setText(byId('mark'), mark)
    setText(byId('summary'), summary)
  }

  #showReasons(reasons: Overview['reasons']): void {
    const items = reasons.map(({ text, cure }) => {
      const item = create('li')
      const advice = create('p')
      advice.append(create('strong', '', 'What to do: '), cure)
      item.append(create('p', 'reason', `${text.charAt(0).toUpperCase()}${text.slice(1)}.`), advice)
      return item
    })
    update(this.#reasons, items)
  }
}

/** Does not change while the state stays the same, because screen readers read each change. */
function summaryOf({ status, maxStalenessMs }: Overview): string {
  switch (status) {
    case 'ready':
      return `Every entry that is served is proven fresh, to within ${milliseconds(maxStalenessMs)}.`
    case 'idle':
      return 'There were no requests for a while, so the database is left alone. The next request wakes the feed.'
    case 'degraded':
      return 'Requests are answered, with restrictions.'
    case 'unready':
      return 'This sidecar should not receive requests.'
  }
}

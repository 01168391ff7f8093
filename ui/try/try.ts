import { byId, create, setText } from '../elements.js'
import { count, percent } from '../format.js'

/** Answer to `GET dev.json`. */
interface Dev {
  readonly sidecars: readonly { readonly data: string; readonly page: string }[]
  readonly isSample: boolean
}

interface Read {
  readonly value?: unknown
  readonly source?: string
  readonly detail?: string
}

interface Statistics {
  readonly hits: number
  readonly misses: number
  readonly size: number
  readonly changes_applied: number
  readonly feed: { readonly state: string }
}

const intervalMs = 1_000
const names = ['A', 'B']
const sources: Readonly<Record<string, string>> = { cache: 'from memory', db: 'from the database' }

const samples: readonly { readonly key: string; readonly sql: string }[] = [
  { key: 'product:1', sql: 'update products set price = price + 1 where id = 1' },
  { key: 'product_page:1', sql: 'update reviews set stars = 6 - stars where id = 2' },
]

const key = byId<HTMLInputElement>('key')
const sql = byId<HTMLTextAreaElement>('sql')

/** One of the two sidecars: what it answers for the key, and its figures. */
class Column {
  readonly element = create('article', 'tile')
  readonly #path: string
  readonly #value = create('pre', 'value')
  readonly #source = create('p', 'detail')
  readonly #figures = create('p', 'detail')

  constructor(index: number, { data, page }: Dev['sidecars'][number]) {
    this.#path = `sidecars/${index}`
    const title = create('h3', '', `Sidecar ${names[index]}`)
    const link = create('a', '', 'its page')
    link.href = page
    title.append(' ', create('small', '', data), ' ', link)
    this.element.append(title, this.#value, this.#source, this.#figures)
  }

  async set(value: string): Promise<string> {
    const body = JSON.stringify({ key: key.value, value: parsed(value) })
    const headers = { 'Content-Type': 'application/json' }
    const answer = await fetch(`${this.#path}/cache/set`, { method: 'POST', headers, body })
    return answer.ok ? 'Written to the database.' : ((await answer.json()) as Read).detail || 'Refused.'
  }

  async refresh(): Promise<void> {
    const [answer, figures] = await Promise.all([
      fetch(`${this.#path}/cache/get?key=${encodeURIComponent(key.value)}`),
      fetch(`${this.#path}/cache/stats`),
    ])
    const read: Read = await answer.json()
    setText(
      this.#value,
      answer.ok ? JSON.stringify(read.value, undefined, 2) : (read.detail ?? 'no such entry'),
    )
    setText(this.#source, answer.ok ? (sources[read.source ?? ''] ?? read.source ?? '') : '')
    const { hits, misses, size, changes_applied: changes, feed }: Statistics = await figures.json()
    const ratio = percent(hits + misses === 0 ? undefined : hits / (hits + misses))
    setText(
      this.#figures,
      `feed ${feed.state}, ${count(size)} entries in memory, hit ratio ${ratio}, ${count(changes)} changes received`,
    )
  }
}

/** Returns the JSON value of a text, or the text as a string. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

async function run(): Promise<void> {
  const headers = { 'Content-Type': 'application/sql' }
  const answer = await fetch('.', { method: 'POST', headers, body: sql.value })
  setText(byId('result'), await answer.text())
}

const dev: Dev = await (await fetch('dev.json')).json()
const columns = dev.sidecars.map((sidecar, index) => new Column(index, sidecar))
byId('sidecars').append(...columns.map(({ element }) => element))

const refresh = () => Promise.all(columns.map((column) => column.refresh().catch(() => undefined)))

byId('set').addEventListener('submit', async (event) => {
  event.preventDefault()
  const { submitter } = event as SubmitEvent
  const column = columns[Number((submitter as HTMLButtonElement).value)]
  setText(byId('set-note'), (await column?.set(byId<HTMLInputElement>('value').value)) ?? '')
  await refresh()
})

byId('run').addEventListener('submit', async (event) => {
  event.preventDefault()
  await run()
  await refresh()
})

byId('samples').hidden = !dev.isSample
for (const sample of samples) {
  const button = create('button', '', sample.key)
  button.type = 'button'
  button.addEventListener('click', () => {
    key.value = sample.key
    sql.value = sample.sql
    refresh()
  })
  byId('sample-buttons').append(button)
}

for (;;) {
  if (!document.hidden) await refresh()
  await new Promise((resolve) => setTimeout(resolve, intervalMs))
}

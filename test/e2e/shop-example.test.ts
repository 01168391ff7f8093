import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import t from 'tap'
import { migrate } from '../../src/postgres/schema/migrate.js'
import { type Served, serve, untilLive } from '../support/child-process.js'
import { ownServer } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { freePorts } from '../support/free-ports.js'
import { installedShop, type Shop, startShop } from '../support/shop-example.js'

const boundMs = 3_000
const path = (file: string) => fileURLToPath(new URL(`../../${file}`, import.meta.url))

const folder = await installedShop(t)
const server = await ownServer(t)
await migrate(server.url())
const environment = { DATABASE_URL: server.url(), CACHE_MAX_STALENESS_MS: String(boundMs) }
const firstPort = await freePorts(2)

/** Runs SQL as any client of the database does. */
async function query(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: server.url() })
  await client.connect()
  await client.query(sql).finally(() => client.end())
}
for (const file of ['sql/sample.sql', 'examples/shop/shop.sql'])
  await query(await readFile(path(file), 'utf8'))

const startSidecar = async (which: number): Promise<Served> => {
  const sidecar = await serve(t, { ...environment, PORT: String(firstPort + which) })
  await untilLive(sidecar)
  return sidecar
}
const startShopAt = (which: number): Promise<Shop> =>
  startShop(t, folder, { DATABASE_URL: server.url(), CACHE_URL: `http://127.0.0.1:${firstPort + which}` })

const sidecars = [await startSidecar(0), await startSidecar(1)] as [Served, Served]
const shops = [await startShopAt(0), await startShopAt(1)] as [Shop, Shop]

/** Acknowledged prices in their order, with the moment from which the one before is outdated. */
const prices: { readonly price: string; readonly sinceMs: number }[] = [{ price: '9.50', sinceMs: 0 }]
/** Prices that were shown for longer than the promise allows. */
const outdated: string[] = []
const seen = { pages: 0, near: 0, old: 0 }
/** True while the database cannot be reached: then the last prices that are known are shown. */
let isOutage = false

/** Reads a page and judges its price. Resolves to the price; undefined if there is no page. */
async function priceOn(url: string): Promise<string | undefined> {
  const sentMs = performance.now()
  const wasOutage = isOutage
  const response = await fetch(url).catch(() => undefined)
  if (response?.status !== 200) return undefined
  const html = await response.text()
  const shown = /(\d+\.\d\d) €/.exec(html)?.[1]
  const index = prices.findIndex(({ price }) => price === shown)
  // A new price may be shown before its change is acknowledged here.
  const overwritten = index < 0 ? undefined : prices[index + 1]
  seen.pages++
  if (html.includes('from: near')) seen.near++
  if (overwritten && overwritten.sinceMs < sentMs) seen.old++
  const isExcused = wasOutage || isOutage || html.includes('the last price that is known')
  if (!isExcused && overwritten && sentMs - overwritten.sinceMs > boundMs)
    outdated.push(`${url} shows ${shown}, outdated for ${Math.round(sentMs - overwritten.sinceMs)} ms`)
  return shown
}

const pages = () => shops.flatMap(({ url }) => [`${url}/`, `${url}/products/1`])

let isOver = false
/** Somebody reads all pages all the time. */
const reading = (async () => {
  while (!isOver) {
    await Promise.all(pages().map(priceOn))
    await sleep(20)
  }
})()
t.teardown(() => {
  isOver = true
  return reading
})

/** Changes the price by SQL, and waits until all pages show it. */
async function change(): Promise<void> {
  const price = (Number(prices.at(-1)?.price) + 0.01).toFixed(2)
  const before = prices.at(-1)?.price
  await eventually(() =>
    query(`update products set price = ${price} where id = 1 and price = ${before}`).then(() => true),
  )
  prices.push({ price, sinceMs: performance.now() })
  for (const url of pages()) await eventually(async () => (await priceOn(url)) === price)
}

t.test('a change by SQL is on all pages', async () => {
  await change()
  await change()
})

for (const which of [0, 1] as const) {
  t.test(`the pages are right while sidecar ${which} is frozen, and after it goes on`, async (t) => {
    sidecars[which].kill('SIGSTOP')
    t.teardown(() => sidecars[which].kill('SIGCONT'))
    await change()
    sidecars[which].kill('SIGCONT')
    await change()
  })

  t.test(`the pages are right without sidecar ${which}, and with a new one`, async () => {
    sidecars[which].kill('SIGKILL')
    await sidecars[which].exited
    await change()
    sidecars[which] = await startSidecar(which)
    await change()
  })

  t.test(`shop ${which} starts again`, async () => {
    await shops[which].kill()
    shops[which] = await startShopAt(which)
    await change()
  })
}

t.test('without the database, the last prices are shown; afterwards, the new ones', async (t) => {
  isOutage = true
  await server.stop('immediate')
  for (const url of pages()) await eventually(async () => (await priceOn(url)) === prices.at(-1)?.price)
  for (const { url } of shops) {
    // Nobody has read this product, so nobody can say anything about it.
    const response = await fetch(`${url}/products/3`)
    t.equal(response.status, 503)
    t.match(response.headers.get('retry-after'), /^\d+$/)
    t.match(await response.text(), /^<h1>Not available<\/h1>\n<p>.*\.<\/p>\n$/)
  }
  await server.start()
  for (const sidecar of sidecars) await untilLive(sidecar)
  isOutage = false
  await change()
})

t.test('no price was shown for longer than the promise allows', async (t) => {
  t.strictSame(outdated.slice(0, 5), [])
  t.ok(seen.near > 0, 'products come from the memory of the shops')
  t.ok(seen.old > 0, 'an outdated price is shown for a moment, so the check has something to judge')
})

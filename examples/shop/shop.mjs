// A shop of two kinds of pages: GET / lists the products, GET /products/1 shows one of them.
import { createClient } from '@caching-layer/client'
import Koa from 'koa'
import pg from 'pg'

const {
  PORT = '3000',
  CACHE_URL = 'http://127.0.0.1:8025',
  DATABASE_URL = 'postgresql://cache_user:cache_pass@127.0.0.1:5432/cache_db',
} = process.env

const cache = createClient({
  url: CACHE_URL,
  near: { maxEntries: 1_000, maxBytes: 16 * 1024 * 1024 },
  // How long a page waits for a sidecar that does not answer.
  timeoutMs: 1_000,
})
const database = new pg.Pool({
  connectionString: DATABASE_URL,
  connectionTimeoutMillis: 2_000,
  query_timeout: 2_000,
})
// An idle connection was lost. The next query opens another one.
database.on('error', () => undefined)

/** Neither the cache nor the database can say what a page shows. */
class Unavailable extends Error {}

async function query(text, values) {
  try {
    return await database.query(text, values)
  } catch (cause) {
    throw new Unavailable('no answer from the database', { cause })
  }
}

/** Computes the list. It reads the products here and not before, so that it never stores what has changed meanwhile. */
async function computeList() {
  const { rows } = await query('select id, name, price from products order by id')
  const items = rows.map(
    ({ id, name, price }) => `<li><a href="/products/${id}">${escaped(name)}</a>: ${price} €</li>`,
  )
  return `<ul>${items.join('')}</ul>`
}

/** Returns the list that somebody has computed, or computes it. shop.sql invalidates it when a product changes. */
function listOfProducts() {
  return cache.getOrCompute('shop:list', computeList, {
    ttlSeconds: 300,
    groups: ['products'],
    waitSeconds: 1,
  })
}

/** Reads a product with its reviews: the answer of a bound query. Without a sidecar, asks the database itself. */
async function productOf(id) {
  try {
    return await cache.getEntry(`product_page:${id}`)
  } catch {
    const { rows } = await query('select name, price from products where id = $1', [id])
    return rows.length === 0
      ? undefined
      : { value: { reviews: [], ...rows[0] }, source: 'shop', stale: false }
  }
}

function productHtml({ value: { name, price, reviews }, source, stale }) {
  const items = reviews.map(({ stars, body }) => `<li>${'★'.repeat(stars)} ${escaped(body)}</li>`)
  return `<h1>${escaped(name)}</h1>
<p>${Number(price).toFixed(2)} €${stale ? ' (the last price that is known)' : ''}</p>
<ul>${items.join('')}</ul>
<p><small>from: ${source}</small></p>`
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}

const app = new Koa()

app.use(async (context, next) => {
  try {
    await next()
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error
    console.error(`${error.message}: ${error.cause.message}`)
    context.status = 503
    context.set('Retry-After', '1')
    context.body =
      '<h1>Not available</h1>\n<p>The shop cannot reach its data. Please try again in a moment.</p>\n'
  }
})

app.use(async (context) => {
  context.type = 'html'
  const [, id] = /^\/products\/(\d+)$/.exec(context.path) ?? []
  if (context.path === '/') {
    context.body = `<h1>Shop</h1>\n${await listOfProducts()}\n`
  } else if (id !== undefined) {
    const product = await productOf(id)
    context.status = product ? 200 : 404
    context.body = `${product ? productHtml(product) : '<h1>Not found</h1>'}\n`
  }
})

const server = app.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`The shop is on http://127.0.0.1:${server.address().port}/`)
})

/** Tests of `/v1/entries/{key}` with whole sidecars: counters, backups, and sidecars of an earlier release. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { CliProcess, serve, untilLive } from '../support/child-process.js'
import { cacheDatabase, ownServer } from '../support/database.js'
import { earlierRelease } from '../support/earlier-release.js'
import { eventually } from '../support/eventually.js'
import { shell } from '../support/shell.js'

const clients = 40
/** Each of them: with more, nearly all that the clients do is to refuse each other. */
const incrementsEach = 1
const octets = { 'Content-Type': 'application/octet-stream' }
const bytes = Buffer.from([0, 255, 254, 10, 0])

interface Tally {
  /** Increments that were acknowledged, and those whose outcome is unknown. */
  done: number
  unknown: number
  refused: number
  unavailable: number
}

/** Increments the counter until that has been acknowledged, or its outcome is unknown. */
async function increment(bases: readonly string[], seed: number, tally: Tally): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const url = `${bases[(seed + attempt) % bases.length]}/v1/entries/counter`
    try {
      const read = await fetch(url)
      const value = read.status === 200 ? Number(await read.text()) : undefined
      const tag = read.headers.get('etag')
      if (value === undefined || tag === null) {
        tally.unavailable++
        await sleep(20)
        continue
      }
      const headers = { 'Content-Type': 'application/json', 'If-Match': tag }
      const written = await fetch(url, { method: 'PUT', headers, body: String(value + 1) })
      const text = await written.text()
      if (written.ok) {
        tally.done++
        return
      }
      if (written.status === 503 && text.includes('outcome of the write is unknown')) {
        tally.unknown++
        return
      }
      if (written.status === 412) {
        tally.refused++
        await sleep(100 * Math.random())
      } else if (written.status === 503) {
        tally.unavailable++
        await sleep(20)
      } else throw new Error(`answered ${written.status} ${text}`)
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
      throw new Error('a sidecar closed a connection', { cause: error })
    }
  }
}

async function incrementAll(bases: readonly string[]): Promise<Tally> {
  const tally = { done: 0, unknown: 0, refused: 0, unavailable: 0 }
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      for (let n = 0; n < incrementsEach; n++) await increment(bases, client + n, tally)
    }),
  )
  return tally
}

t.test('40 clients increment one counter through three sidecars, while the database is killed', async (t) => {
  const server = await ownServer(t)
  const environment = { DATABASE_URL: server.url(), CACHE_MAX_STALENESS_MS: '1000' }
  const sidecars = await Promise.all([0, 1, 2].map(() => serve(t, environment)))
  await Promise.all(sidecars.map(untilLive))
  const bases = sidecars.map(({ client }) => client.base)
  const counter = `${bases[0]}/v1/entries/counter`
  const json = { 'Content-Type': 'application/json' }
  t.equal((await fetch(counter, { method: 'PUT', headers: json, body: '0' })).status, 201)

  const calm = await incrementAll(bases)
  t.match(calm, { done: clients * incrementsEach, unknown: 0 })
  t.ok(calm.refused > 0, 'the clients met')
  const before = Number(await (await fetch(`${counter}?consistency=strong`)).text())
  t.equal(before, calm.done)

  let isOver = false
  const kills = (async () => {
    for (let n = 0; n < 3 && !isOver; n++) {
      await server.stop('immediate')
      await server.start()
      await eventually(async () => (await fetch(`${counter}?consistency=strong`)).status === 200)
    }
  })()
  const killed = await incrementAll(bases).finally(() => {
    isOver = true
  })
  await kills
  t.ok(killed.unavailable > 0, 'the database was killed')
  t.equal(killed.done + killed.unknown, clients * incrementsEach)
  await eventually(async () => (await fetch(`${counter}?consistency=strong`)).status === 200)
  const after = Number(await (await fetch(`${counter}?consistency=strong`)).text())
  t.ok(after >= before + killed.done, `${after} is not less than ${before} + ${killed.done}`)
  t.ok(
    after <= before + killed.done + killed.unknown,
    `nor more than the ${killed.unknown} unknown ones allow`,
  )
  for (const { client } of sidecars)
    t.match((await client.stats()).writes, { pending: 0, pending_settled: 0 })
})

t.test('binary values are in a backup, and come back by a restore', async (t) => {
  const [from, to] = [await cacheDatabase(t), await cacheDatabase(t)]
  const source = await serve(t, { DATABASE_URL: from.url })
  await untilLive(source)
  const put = (key: string, headers: Record<string, string>, body: Buffer) =>
    fetch(`${source.client.base}/v1/entries/${key}`, { method: 'PUT', headers, body })
  await put('binary', octets, bytes)
  await put('text', { 'Content-Type': 'text/html; charset=utf-8' }, Buffer.from('<p>\u00e9\t\\'))
  const migrated = new CliProcess(t, ['migrate'], { DATABASE_URL: to.url })
  t.equal((await migrated.exited).code, 0, migrated.stderr)
  const { code, stderr } = await shell(
    t,
    'caching-layer backup | DATABASE_URL=$TO caching-layer restore --mode=replace',
    { DATABASE_URL: from.url, TO: to.url },
  )
  t.equal(code, 0, stderr)
  const restored = await serve(t, { DATABASE_URL: to.url })
  for (const key of ['binary', 'text']) {
    const [one, other] = await Promise.all(
      [source, restored].map(async ({ client }) => {
        const { headers, ...response } = await readOf(`${client.base}/v1/entries/${key}`)
        return { type: headers.get('content-type'), tag: headers.get('etag'), ...response }
      }),
    )
    t.strictSame({ ...one, tag: '' }, { ...other, tag: '' })
    t.not(one?.tag, other?.tag, 'a tag is of one history')
  }
})

async function readOf(url: string) {
  const { status, headers, ...response } = await fetch(url).then(async (answer) => ({
    status: answer.status,
    headers: answer.headers,
    bytes: Buffer.from(await answer.arrayBuffer()).toString('hex'),
  }))
  return { status, headers, ...response }
}

t.test('sidecars of 0.1 read binary values as base64, and replace them by what they write', async (t) => {
  const release = await earlierRelease('0.1.0')
  const { url, query } = await cacheDatabase(t)
  const present = await serve(t, { DATABASE_URL: url })
  await untilLive(present)
  const old = await serve(t, { DATABASE_URL: url }, ['--no-migrate'], { release })
  await untilLive(old)
  const entry = `${present.client.base}/v1/entries/k`
  const types = ['application/octet-stream', 'text/plain', 'application/json; charset=utf-8']
  for (const type of types) {
    const sent = type.includes('octet') ? bytes : Buffer.from('[1]')
    await fetch(entry, { method: 'PUT', headers: { 'Content-Type': type }, body: sent })
    const wanted = type.includes('octet') ? bytes.toString('base64') : '[1]'
    await eventually(async () => (await old.client.value('k')) === wanted)
    t.equal(await old.client.held('k'), wanted)
    t.match(await readOf(entry), { bytes: sent.toString('hex') })
    for (const value of ['text', [2], wanted]) {
      await fetch(entry, { method: 'PUT', headers: { 'Content-Type': type }, body: sent })
      t.equal((await old.client.set('k', value)).status, 200)
      const read = await readOf(`${entry}?consistency=strong`)
      t.equal(Buffer.from(read.bytes, 'hex').toString(), JSON.stringify(value))
      t.equal(read.headers.get('content-type'), 'application/json')
    }
    await query(`update cache_entries set value = 'by SQL'`)
    await eventually(async () => (await old.client.value('k')) === 'by SQL')
    t.equal((await old.client.delete('k')).status, 200)
    t.equal((await fetch(`${entry}?consistency=strong`)).status, 404)
  }
})

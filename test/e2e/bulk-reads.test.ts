/** Tests of the memory of a process that is asked for many large values at once. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { serve, untilLive } from '../support/child-process.js'
import { cacheDatabase } from '../support/database.js'
import type { Answer } from '../support/json-client.js'

const mebibyte = 1024 * 1024
const keys = Array.from({ length: 1_000 }, (_, index) => `k${index + 1}`)
const insertion = `insert into cache_entries (key, value)
  select 'k' || n, repeat('x', 102400) from generate_series(1, 1000) n`

t.test('1,000 values of 100 KiB are not in memory twice', async (t) => {
  const { url, query } = await cacheDatabase(t)
  // Twice their bytes are more than the heap. Buffers are outside the heap, so the process is measured as well.
  const sidecar = await serve(t, {
    DATABASE_URL: url,
    DATABASE_TIMEOUT_MS: '20000',
    CACHE_MEMORY_BYTES: String(2_000 * mebibyte),
    NODE_OPTIONS: '--max-old-space-size=192',
  })
  await untilLive(sidecar)
  await query(insertion)
  const peakBytes = () => {
    const status = readFileSync(`/proc/${sidecar.child.pid}/status`, 'utf8')
    return 1_024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1])
  }
  const before = peakBytes()
  for (const wanted of ['fwd=miss', 'hit', 'hit', 'fwd=request']) {
    const body = { keys, consistency: wanted === 'fwd=request' ? 'strong' : 'bounded' }
    const { status, text, headers } = await sidecar.client.request('POST', '/v1/entries:get', { body })
    t.equal(status, 200)
    t.equal(headers['cache-status'], `caching-layer; ${wanted}`)
    const moreBytes = peakBytes() - before
    t.ok(moreBytes < 2.3 * text.length, `${moreBytes} bytes more after ${text.length} bytes`)
  }
})

t.test('1,000 values of 100 KiB are refused by a small heap, and streamed by a large one', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const start = async (heapMebibytes: number) => {
    const sidecar = await serve(t, {
      DATABASE_URL: url,
      DATABASE_TIMEOUT_MS: '20000',
      NODE_OPTIONS: `--max-old-space-size=${heapMebibytes}`,
    })
    await untilLive(sidecar)
    const getMany = (asked: readonly string[], more = {}): Promise<Answer> =>
      sidecar.client.request('POST', '/v1/entries:get', { body: { keys: asked, ...more } })
    const residentBytes = async () => {
      const { body } = await sidecar.client.request('GET', '/cache/stats')
      return (body.memory as { resident_bytes: number }).resident_bytes
    }
    return { sidecar, getMany, residentBytes }
  }

  const small = await start(192)
  await query(insertion)
  for (const more of [{}, { consistency: 'strong' }]) {
    t.equal((await small.getMany(keys, more)).status, 413)
    const all = await Promise.all(Array.from({ length: 10 }, () => small.getMany(keys, more)))
    t.ok(
      all.every(({ status }) => status === 413 || status === 503),
      'refused',
    )
  }
  // Several at once: each is answered or told to come again.
  const parts = Array.from({ length: 20 }, (_, part) => keys.slice(part * 50, part * 50 + 50))
  const answered = await Promise.all(parts.map((part) => small.getMany(part)))
  t.ok(answered.every(({ status }) => status === 200 || status === 503))
  for (const part of parts) {
    const { status, text } = await small.getMany(part)
    t.equal(status, 200)
    t.ok(text.length > 50 * 102_400)
  }
  t.notOk(small.sidecar.hasExited)
  t.ok(
    (await small.residentBytes()) < (192 + 160) * mebibyte,
    `${await small.residentBytes()} bytes resident`,
  )
  t.equal((await small.sidecar.client.stats()).memory.responses.bytes, 0)

  const large = await start(2_048)
  const before = await large.residentBytes()
  const { status, text } = await large.getMany(keys)
  t.equal(status, 200)
  t.ok(text.length > 1_000 * 102_400)
  const moreBytes = (await large.residentBytes()) - before
  // Garbage of the driver is included, which a heap of this size keeps for a while.
  t.ok(moreBytes < 3.5 * text.length, `${moreBytes} bytes more are resident after ${text.length} bytes`)
})

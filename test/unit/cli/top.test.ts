import t from 'tap'
import { top } from '../../../src/cli/commands/top.js'
import { commandRun, type FakeAnswer, fakeListener } from '../../support/command-run.js'

const ready = {
  host: 'app',
  pagePort: 9025,
  status: 'ready',
  lagMs: 3,
  hitRatio: 0.987_6,
  readsPerSecond: 12.34,
  entries: 7,
  version: '0.2.0',
  seenMsAgo: 1_500,
  isSelf: true,
}
const members = [
  ready,
  { ...ready, host: 'b\n', pagePort: null, isSelf: false, lagMs: null, hitRatio: null, readsPerSecond: null },
  { ...ready, host: 'c', status: 'silent', isSelf: false, seenMsAgo: 61_400 },
  { ...ready, host: 'd', status: 'idle', isSelf: false },
]
const cells = (line: string) => line.split(/ {2,}/)

t.test('top prints each sidecar as it was seen last', async (t) => {
  const { url, asked } = await fakeListener(t, () => ({ members }))
  const { code, out } = await commandRun(top, { values: { url }, environment: { CACHE_API_TOKEN: 'secret' } })
  t.equal(code, 0)
  t.strictSame(out.map(cells), [
    ['sidecar', 'state', 'lag', 'hits', 'reads/s', 'entries', 'version', 'seen'],
    ['app:9025*', 'ready', '3 ms', '98.8 %', '12.3', '7', '0.2.0', '2 s ago'],
    ['b\\u000a', 'ready', '-', '-', '-', '7', '0.2.0', '2 s ago'],
    ['c:9025', 'silent', '-', '-', '-', '7', '0.2.0', '61 s ago'],
    ['d:9025', 'idle', '-', '-', '-', '7', '0.2.0', '2 s ago'],
  ])
  t.strictSame(asked, [{ method: 'GET', path: '/ui/fleet', authorization: 'Bearer secret' }])
})

t.test('without a URL, top asks the sidecar that has these settings', async (t) => {
  const { url } = await fakeListener(t, () => ({ members: [ready] }))
  const { code, out } = await commandRun(top, { values: { 'ops-port': new URL(url).port } })
  t.match({ code, out }, { code: 0, out: [/^sidecar /, /^app:9025\* /] })
})

t.test('top says why a list is not complete', async (t) => {
  let obstacle = ''
  const { url } = await fakeListener(t, () => ({ members, obstacle }))
  for (const [why, says] of Object.entries({
    off: 'CACHE_FLEET_INTERVAL_MS=0: this sidecar does not look at the fleet',
    idle: 'this sidecar is idle and leaves the database alone: the list is as it was last seen',
    failed: 'the list could not be read: caching-layer doctor names what is wrong',
  })) {
    obstacle = why
    const { out } = await commandRun(top, { values: { url } })
    t.equal(out.length, 6)
    t.equal(out.at(-1), says)
  }
})

t.test('top prints JSON and ends, in a terminal as well', async (t) => {
  const { url } = await fakeListener(t, () => ({ members: [ready] }))
  const run = (...flags: string[]) => commandRun(top, { values: { url }, flags, isTerminal: true })
  t.match(await run('json'), { code: 0, out: [JSON.stringify({ members: [ready] })] })
  t.match(await run('once'), { code: 0, out: [/^sidecar /, /^app:9025\* /] })
})

t.test('in a terminal, top replaces what it has shown, and keeps it while nobody answers', async (t) => {
  const stop = new AbortController()
  const answers: FakeAnswer[] = [
    { members: [ready] },
    { status: 503, text: '{"detail":"one"}' },
    { status: 503, text: '{"detail":"two"}' },
    { members: [] },
  ]
  const { url } = await fakeListener(t, () => answers.shift() as FakeAnswer)
  const screens: string[] = []
  const out = (screen: string) => {
    screens.push(screen)
    if (answers.length === 0) stop.abort()
  }
  const values = { url, seconds: '0.5' }
  t.match(await commandRun(top, { values, isTerminal: true, out, stop: stop.signal }), { code: 0 })
  const [cleared, first, second, third, last] = screens.map((screen) => screen.replaceAll('\u001b', 'ESC'))
  t.equal(cleared, 'ESC[2J')
  t.match(first, /^ESC\[Hsidecar .*ESC\[K\napp:9025\* .*ESC\[KESC\[KESC\[J$/)
  t.equal(second, first?.replace('ESC[KESC[J', '\nnot refreshed: oneESC[KESC[KESC[J'))
  t.equal(third, second?.replace('one', 'two'), 'the reason is replaced')
  t.notMatch(last, /not refreshed|app/)
  t.equal(screens.length, 5)
})

t.test('top refuses a time out of its bounds, and says that a page is off', async (t) => {
  let answer: FakeAnswer = { members: [] }
  const { url } = await fakeListener(t, () => answer)
  for (const seconds of ['0.5', '3600'])
    t.equal((await commandRun(top, { values: { url, seconds } })).code, 0, seconds)
  for (const seconds of ['0.49', '3601', 'x'])
    await t.rejects(commandRun(top, { values: { url, seconds } }), { name: 'UsageError' }, seconds)
  answer = { status: 404, text: '{"detail":"no page"}' }
  await t.rejects(commandRun(top, { values: { url } }), {
    message: `${url}: CACHE_UI=off, so it does not tell of its fleet`,
  })
  answer = { status: 401, text: '{"detail":"Unauthorized"}' }
  await t.rejects(commandRun(top, { values: { url } }), { message: 'Unauthorized' })
})

t.test('a URL of the wrong listener is told before any other reason', async (t) => {
  const { url } = await fakeListener(t, ({ path }) =>
    path === '/health' ? { status: 'ok' } : { status: 404, text: '{"detail":"Not Found"}' },
  )
  await t.rejects(commandRun(top, { lists: new Map([['url', ['http://127.0.0.1:1', url]]]) }), {
    name: 'UsageError',
    message: /is the data listener of a sidecar/,
  })
})

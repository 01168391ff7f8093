/** Tests a small load, and a page to try both sidecars, which dev has for newcomers. */
import { chmod, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import t from 'tap'
import { axeFindings } from '../support/axe-findings.js'
import { noBrowser, openPage, startBrowser } from '../support/browser.js'
import { CliProcess } from '../support/child-process.js'
import { eventually } from '../support/eventually.js'
import { freePorts } from '../support/free-ports.js'
import { JsonClient } from '../support/json-client.js'

const patienceMs = Number(process.env.TEST_PATIENCE_MS ?? 90_000)

const cwd = await realpath(await mkdtemp(join(tmpdir(), 'caching-layer-demo-')))
t.teardown(() => rm(cwd, { recursive: true, force: true }))
await chmod(cwd, 0o755)
const port = await freePorts(3)
const dev = new CliProcess(t, ['dev', '--demo'], { PORT: String(port), OPS_PORT: '0' }, { cwd })
await eventually(() => dev.hasExited || dev.stdout.includes('Ctrl-C'), { withinMs: 60_000 })
t.notOk(dev.hasExited, dev.stderr)
const [a, b, server] = [0, 1, 2].map((index) => new JsonClient(`http://127.0.0.1:${port + index}`)) as [
  JsonClient,
  JsonClient,
  JsonClient,
]

t.test('a load moves both sidecars', async (t) => {
  t.match(dev.stdout, `Try both in a browser:  ${server.base}/`)
  t.match(dev.stdout, 'A small load runs until you stop it')
  for (const client of [a, b])
    await eventually(async () => {
      const {
        hits,
        misses,
        changes_applied: changes,
      } = (await client.stats()) as unknown as Record<'hits' | 'misses' | 'changes_applied', number>
      return hits > 0 && misses > 0 && changes > 0
    })
  const before = await a.value('product:1')
  await eventually(async () => JSON.stringify(await a.value('product:1')) !== JSON.stringify(before))
  await eventually(async () => {
    const { text } = await server.request('POST', '/', {
      raw: "select count(*)::int as count from cache_entries where key like 'demo:%'",
      headers: { 'Content-Type': 'application/sql' },
    })
    const [{ count }] = JSON.parse(text)
    return count > 5
  })
})

t.test('the page asks the sidecars for nothing but entries and statistics', async (t) => {
  t.match(await server.request('GET', '/sidecars/0/cache/stats'), { status: 200, body: { hits: Number } })
  for (const path of ['/sidecars/0/health', '/sidecars/2/cache/stats', '/sidecars/0/cache/delete?key=k'])
    t.equal((await server.request('GET', path)).status, 415, path)
  const headers = { Host: 'evil.example' }
  for (const path of ['/', '/dev.json', '/sidecars/0/cache/stats'])
    t.equal((await server.request('GET', path, { headers })).status, 403, path)
  const { body, headers: given } = await server.request('GET', '/dev.json')
  t.match(body, { sidecars: [{ data: a.base }, { data: b.base }], isSample: true })
  t.match(given['content-security-policy'], /^default-src 'none'/)
})

t.test('a newcomer sets a value, changes it by SQL, and sees both follow', { skip: noBrowser }, async (t) => {
  const browser = await startBrowser(t)
  const viewport = { width: 320, height: 640 }
  const { page, faults } = await openPage(t, browser, `${server.base}/`, { viewport })
  const show = (page: Page, text: string) =>
    Promise.all(
      [0, 1].map((index) =>
        page.locator('article', { hasText: text }).nth(index).waitFor({ timeout: patienceMs }),
      ),
    )
  await page.getByRole('button', { name: 'Set on A' }).click()
  await show(page, '"bar"')
  await page.getByRole('textbox', { name: 'Value' }).fill('{"n": 1}')
  await page.getByRole('button', { name: 'Set on B' }).click()
  await show(page, '"n": 1')
  await page.getByRole('button', { name: 'Run' }).click()
  await show(page, '"by SQL"')
  t.equal(await page.locator('#result').textContent(), 'UPDATE 1\n')
  await page.getByRole('button', { name: 'product_page:1' }).click()
  await show(page, '"reviews"')
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), 320, 'nothing is cut off')
    t.strictSame(await axeFindings(page), [], colorScheme)
  }
  // The browser reports that there was no such entry at first.
  t.strictSame(
    faults.filter((fault) => !fault.includes('404')),
    [],
  )
})

t.test('Ctrl-C stops the load as well', async (t) => {
  dev.kill('SIGINT')
  t.strictSame(await dev.exited, { code: 0, signal: null }, dev.stderr)
})

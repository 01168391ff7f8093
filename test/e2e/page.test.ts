import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import pg from 'pg'
import type { Request, Route } from 'playwright-core'
import t, { type Test } from 'tap'
import { axeFindings } from '../support/axe-findings.js'
import { hasRow, noBrowser, openPage, patienceMs, shows, startBrowser } from '../support/browser.js'
import { serve, untilLive } from '../support/child-process.js'
import { ownServer } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { Gate } from '../support/gate.js'

t.test('the page in a browser', { skip: noBrowser }, async (t) => {
  const server = await ownServer(t)
  const environment = {
    DATABASE_URL: server.url(),
    CACHE_MAX_STALENESS_MS: '500',
    CACHE_FLEET_INTERVAL_MS: '500',
    CACHE_UI_VALUES: 'on',
  }
  const patient = await serve(t, environment)
  const strict = await serve(t, { ...environment, CACHE_READY_GRACE_MS: '0' })
  await Promise.all([untilLive(patient), untilLive(strict)])
  const browser = await startBrowser(t)
  const address = `${patient.ops.base}/ui/`

  async function run(sql: string): Promise<void> {
    const client = new pg.Client({ connectionString: server.url() })
    await client.connect()
    await client.query(sql).finally(() => client.end())
  }

  t.test('a change by SQL appears, and can be filtered and held', async (t) => {
    const { page, faults } = await openPage(t, browser, address)
    await shows(page, 'READY')
    await run(`insert into cache_entries (key, value) values ('user:1', '1'), ('basket:1', '2')`)
    await hasRow(page, 'changes', /set.*or SQL.*basket:1/)
    await page.getByLabel('Filter').fill('user')
    t.equal(await page.locator('#changes tr').count(), 1)
    t.match(await page.locator('#changes tr').textContent(), /user:1$/)

    await page.getByLabel('Filter').fill('')
    await page.getByRole('button', { name: 'Pause' }).click()
    await run(`delete from cache_entries where key = 'basket:1'`)
    const other = await openPage(t, browser, address)
    await hasRow(other.page, 'changes', /deleted.*basket:1/)
    t.equal(await page.locator('#changes tr', { hasText: 'deleted' }).count(), 0, 'paused')
    await page.getByRole('button', { name: 'Pause' }).click()
    await hasRow(page, 'changes', /deleted.*basket:1/)
    await patient.client.set('own', 1)
    await hasRow(page, 'changes', /set.*this sidecar.*own/)
    await page.reload()
    await hasRow(page, 'changes', /set.*user:1/)
    t.equal(await page.locator('canvas').count(), 5, 'the charts')
    t.strictSame([...faults, ...other.faults], [])
  })

  t.test('states have their reason and cure, and end with it', async (t) => {
    const degraded = await openPage(t, browser, address)
    const unready = await openPage(t, browser, `${strict.ops.base}/ui/`)
    await shows(degraded.page, 'READY')
    await shows(unready.page, 'READY')
    await server.stop('fast')
    await shows(degraded.page, 'DEGRADED')
    await shows(unready.page, 'NOT READY')
    for (const { page } of [degraded, unready])
      t.match(await page.locator('#reasons').textContent(), /What to do: .*PostgreSQL runs/)
    t.strictSame(await axeFindings(degraded.page), [])
    const { page } = degraded
    await page.evaluate("window.cure = document.querySelector('#reasons li p + p')")
    const uptime = await page.locator('#uptime').textContent()
    await eventually(async () => (await page.locator('#uptime').textContent()) !== uptime)
    t.ok(await page.evaluate('window.cure.isConnected'), 'a cure that is being selected or read stays')
    await patient.client.set('kept', 1)
    await degraded.page
      .locator('#reasons', { hasText: '1 pending write is' })
      .waitFor({ timeout: patienceMs })
    await server.start()
    await shows(degraded.page, 'READY')
    await shows(unready.page, 'READY')
    t.equal(await degraded.page.locator('#reasons').textContent(), '')
    await hasRow(degraded.page, 'feed', /down.*(live for)/)
    await hasRow(degraded.page, 'feed', /live.*are held/)
    t.strictSame([...degraded.faults, ...unready.faults], [])
  })

  t.test('the fleet, with links to its other sidecars', async (t) => {
    const { page, faults } = await openPage(t, browser, address)
    const { port } = new URL(strict.ops.base)
    await hasRow(page, 'fleet', '(this one)')
    await hasRow(page, 'fleet', new RegExp(`:${port}.*READY.*ms`))
    const link = page.locator('#fleet a', { hasText: `:${port}` })
    await link.focus()
    for (let refreshes = 0; refreshes < 2; refreshes++) await page.waitForResponse(/\/ui\/fleet$/)
    t.match(await page.evaluate('document.activeElement.textContent'), port, 'the focus stays')
    await link.click()
    await page.waitForURL(`${strict.ops.base}/ui/`)
    await hasRow(page, 'fleet', new RegExp(`:${port} \\(this one\\)`))
    // Chromium reports the page that was left as elsewhere.
    t.strictSame(
      faults.filter((fault) => !fault.startsWith(`request to ${strict.ops.base}`)),
      [],
    )
  })

  t.test('a state and figures that this version does not know are shown as they are', async (t) => {
    await run(`insert into cache_sidecars (sidecar, version, host, address, page_port, started_at, status, lag_ms,
        hit_ratio, reads_per_second, entries, seen_at, due_at, may_be_idle, expires_at)
      values ('newer', '99.0.0', E'newer\\u202e', '10.0.0.1', 9025, now(), 'resting', null, 'NaN', 'Infinity', 3,
        now(), now() + '1h', false, now() + '1h')`)
    const { page, faults } = await openPage(t, browser, address)
    await hasRow(page, 'fleet', /^newer\\u202e:9025resting–– of –\/s399\.0\.0/)
    await run("delete from cache_sidecars where sidecar = 'newer'")
    t.strictSame(faults, [])
  })

  t.test('keys can be looked up by prefix, page by page', async (t) => {
    await run(`insert into cache_entries (key, value, groups)
      select 'list:' || to_char(n, 'FM000'), 'value ' || n, array['lists'] from generate_series(1, 60) as n`)
    const { page, faults } = await openPage(t, browser, `${address}#keys`)
    await page.getByLabel('Prefix').fill('list:')
    await page.getByRole('button', { name: 'Search' }).click()
    await hasRow(page, 'keys', /^list:001.*lists.*"value 1"/)
    t.equal(await page.locator('#keys tr').count(), 50)
    await page.getByRole('button', { name: 'Show more' }).click()
    await hasRow(page, 'keys', 'list:060')
    t.equal(await page.locator('#keys tr').count(), 60)
    await page.getByLabel('Prefix').fill('nothing like this')
    await page.keyboard.press('Enter')
    await hasRow(page, 'keys', 'No key begins like this.')
    t.strictSame(faults, [])
  })

  t.test('an answer for a former prefix that comes late is not shown', async (t) => {
    await run(`insert into cache_entries (key, value) values ('former:1', '1'), ('latter:1', '2')`)
    const { page, faults } = await openPage(t, browser, `${address}#keys`)
    await hasRow(page, 'keys', /./)
    const search = async (prefix: string) => {
      await page.getByLabel('Prefix').fill(prefix)
      await page.keyboard.press('Enter')
    }
    for (const outcome of ['continue', 'abort'] as const) {
      const gate = new Gate()
      const answered = new Promise<void>((resolve) => {
        const ended = (request: Request) => {
          if (request.url().includes('former')) resolve()
        }
        page.on('requestfinished', ended).on('requestfailed', ended)
      })
      const hold = async (route: Route) => {
        await gate.pass()
        await route[outcome]()
      }
      await page.route(/prefix=former/, hold, { times: 1 })
      await search('former:')
      await gate.reached
      t.equal(await page.locator('#keys-more').isVisible(), false, 'nothing more of the former list')
      await search('latter:')
      await page.getByText('1 key', { exact: true }).waitFor({ timeout: patienceMs })
      gate.open()
      await answered
      // A later answer on the same connection has been handled after the late one.
      await page.evaluate("fetch('settings').then((answer) => answer.text())")
      t.match(await page.locator('#keys').textContent(), /^latter:1/)
      t.equal(await page.locator('#keys-note').textContent(), '1 key')
    }
    t.strictSame(faults, [])
  })

  t.test('the database is shown and checked, and what is wrong has its cure', async (t) => {
    await run(`create table if not exists shown (id int primary key)`)
    await run(`select cache_bind('shown', key => 'shown:{id}')`)
    const { page, faults } = await openPage(t, browser, `${address}#database`)
    await page.locator('#database', { hasText: /PostgreSQL \d+/ }).waitFor({ timeout: patienceMs })
    await page.getByRole('button', { name: 'Check the database' }).click()
    await hasRow(page, 'findings', /✔ triggers/)
    const answered = page.waitForResponse(/\/ui\/findings$/)
    await page.getByRole('button', { name: 'Check the database' }).press('Enter')
    await answered
    await page.locator('#check:enabled').waitFor({ timeout: patienceMs })
    t.equal(await page.evaluate('document.activeElement.id'), 'check', 'the focus stays')
    await run('drop table shown')
    await page.locator('#reasons', { hasText: 'shown:{id}' }).waitFor({ timeout: patienceMs })
    await page.getByRole('link', { name: 'Keys' }).click()
    await page.getByRole('link', { name: 'Database' }).click()
    await hasRow(page, 'bindings', /shown:\{id\}.*503: .*What to do: /)
    await run(`select cache_unbind('shown:{id}')`)
    t.strictSame(faults, [])
  })

  t.test('the settings are shown with their sources', async (t) => {
    const { page, faults } = await openPage(t, browser, address)
    await page.getByRole('link', { name: 'Settings' }).click()
    await hasRow(page, 'settings', /CACHE_MAX_STALENESS_MS.*500 ms3000 msenvironment/)
    await hasRow(page, 'settings', /CACHE_CAPACITY.*1000 entries.*default/)
    const cells = page.locator('#settings tr', { hasText: 'DATABASE_READ_URL' }).locator('td')
    const box = await cells.first().boundingBox()
    t.ok((box?.width ?? 0) > 200, 'a long address leaves room for the explanation')
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), 1_280)
    t.strictSame(faults, [])
  })

  for (const view of ['overview', 'keys', 'database', 'settings'])
    t.test(`${view}: it can be read by everybody, in both themes and on a phone`, async (t) => {
      const size = { width: 320, height: 640 }
      const { page, faults } = await openPage(t, browser, `${address}#${view}`, { viewport: size })
      await hasRow(page, 'changes', 'user:1', 'attached')
      if (view === 'keys') await hasRow(page, 'keys', 'list:001')
      if (view === 'settings') await hasRow(page, 'settings', 'CACHE_UI')
      if (view === 'database') {
        await page.getByRole('button', { name: 'Check the database' }).click()
        await hasRow(page, 'findings', /✔ triggers/)
      }
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme })
        t.equal(await page.evaluate('document.documentElement.scrollWidth'), 320, 'nothing is cut off')
        t.strictSame(await axeFindings(page), [], colorScheme)
      }
      t.strictSame(faults, [])
    })

  t.test('the keyboard is enough', async (t) => {
    const { page } = await openPage(t, browser, address)
    await hasRow(page, 'changes', 'user:1')
    const focused = () =>
      page.evaluate('document.activeElement.textContent.trim() || document.activeElement.id')
    await page.keyboard.press('Tab')
    t.equal(await focused(), 'Skip to the changes')
    await page.keyboard.press('Enter')
    await page.keyboard.press('Tab')
    t.equal(await focused(), 'filter')
    await page.keyboard.type('nothing like this')
    await hasRow(page, 'changes', 'No key contains the filter.')
    await page.keyboard.press('Tab')
    t.equal(await focused(), 'Pause')
    await page.keyboard.press('Space')
    t.equal(await page.getByRole('button', { name: 'Pause' }).getAttribute('aria-pressed'), 'true')
  })

  t.test('it works behind a prefix', async (t) => {
    const { page, faults } = await openPage(t, browser, `${await prefixProxy(t, patient.ops.base)}/a/b/ui`)
    await shows(page, 'READY')
    t.strictSame(faults, [])
  })

  t.test('with a token, changes are shown to who has it', async (t) => {
    const guarded = await serve(t, { ...environment, CACHE_API_TOKEN: 'secret' })
    const { page, faults } = await openPage(t, browser, `${guarded.ops.base}/ui/`)
    await shows(page, 'READY')
    const enter = async (token: string) => {
      await page.getByLabel('API token').fill(token)
      await page.keyboard.press('Enter')
    }
    await enter('wrong')
    await page.getByText('The token is not right.').waitFor({ timeout: patienceMs })
    for (const hidden of ['#changes-frame', '#fleet', '#navigation'])
      t.equal(await page.locator(hidden).isVisible(), false, hidden)
    await enter('secret')
    await page.locator('#changes-frame').waitFor({ timeout: patienceMs })
    t.equal(await page.evaluate('document.activeElement.textContent'), 'Overview', 'the focus goes on')
    // Again and again, because a feed that was just lost names no change of that time.
    await eventually(async () => {
      await run(`insert into cache_entries (key, value) values ('guarded', '1')
        on conflict (key) do update set value = cache_entries.value || '1'`)
      return (await page.locator('#changes tr', { hasText: 'guarded' }).count()) > 0
    })
    await hasRow(page, 'fleet', '(this one)')
    await page.getByRole('link', { name: 'Keys' }).click()
    await hasRow(page, 'keys', 'guarded')
    t.strictSame(faults, [])
  })

  t.test('a sidecar that is gone is said to be', async (t) => {
    const leaving = await serve(t, environment)
    const { page, faults } = await openPage(t, browser, `${leaving.ops.base}/ui/`)
    await shows(page, 'READY')
    leaving.kill('SIGTERM')
    await shows(page, 'NO CONNECTION')
    t.strictSame(faults, [])
  })
})

/** Starts a proxy that removes `/a/b` from paths, and returns its origin. */
async function prefixProxy(t: Test, target: string): Promise<string> {
  const proxy = createServer(({ url = '', headers }, response) => {
    const sent = request(target + url.replace(/^\/a\/b/, ''), { headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    sent.on('error', () => response.destroy()).end()
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    proxy.closeAllConnections()
    proxy.close()
  })
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
}

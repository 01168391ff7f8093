/** The form of the page that changes keys, with CACHE_UI_WRITE=on, in a browser. */
import pg from 'pg'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { axeFindings } from '../support/axe-findings.js'
import { hasRow, noBrowser, openPage, patienceMs, shows, startBrowser } from '../support/browser.js'
import { serve } from '../support/child-process.js'
import { ownServer } from '../support/database.js'

t.test('keys are changed on the page', { skip: noBrowser }, async (t) => {
  const server = await ownServer(t)
  const environment = {
    DATABASE_URL: server.url(),
    CACHE_MAX_STALENESS_MS: '500',
    CACHE_UI_VALUES: 'on',
    CACHE_API_TOKEN: 'secret',
  }
  const writable = await serve(t, { ...environment, CACHE_UI_WRITE: 'on' })
  const readOnly = await serve(t, environment)
  const browser = await startBrowser(t)

  /** Opens the list of keys, and enters the token. */
  async function openKeys(t: Test, base: string, options = {}) {
    const opened = await openPage(t, browser, `${base}/ui/#keys`, options)
    await shows(opened.page, 'READY')
    await opened.page.getByLabel('API token').fill('secret')
    await opened.page.keyboard.press('Enter')
    await hasRow(opened.page, 'keys', /./)
    return opened
  }

  async function run(sql: string): Promise<unknown[]> {
    const client = new pg.Client({ connectionString: server.url() })
    await client.connect()
    return (await client.query(sql).finally(() => client.end())).rows
  }

  const says = (page: Page, words: string) =>
    page.locator('#write-note', { hasText: words }).waitFor({ timeout: patienceMs })
  const click = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()

  t.test('a key is set, changed, dropped and deleted, by keyboard as well', async (t) => {
    const { page, faults } = await openKeys(t, writable.ops.base)
    await page.getByLabel('Key', { exact: true }).fill('form:1')
    await page.keyboard.press('Tab')
    await page.keyboard.type('a group, another')
    await page.keyboard.press('Tab')
    await page.keyboard.type('3600')
    await page.keyboard.press('Tab')
    await page.keyboard.type('12345678901234567890')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await says(page, 'form:1: written to the database.')
    t.equal(await page.evaluate('document.activeElement.textContent'), 'Set the value', 'the focus stays')
    await hasRow(page, 'keys', /^form:1.*in 59 min.*a group, another.*12345678901234567890/)

    await page.getByRole('button', { name: 'Change form:1' }).click()
    t.equal(await page.getByLabel('Groups').inputValue(), 'a group, another')
    t.equal(await page.getByLabel('Expires after').inputValue(), '3600')
    t.equal(await page.evaluate('document.activeElement.id'), 'write-value')
    await page.getByLabel('Expires after').fill('')
    await page.getByLabel('Value').fill('<b>a text</b>')
    await click(page, 'Set the value')
    await hasRow(page, 'keys', /^form:1.*never.*a group, another.*"<b>a text<\/b>"/)
    t.strictSame(await run("select value from cache_entries where key = 'form:1'"), [
      { value: '<b>a text</b>' },
    ])

    await click(page, 'Drop here')
    await says(page, 'dropped from the memory of this sidecar')
    await click(page, 'Drop here')
    await says(page, 'holds nothing of it')
    await click(page, 'Drop everywhere')
    await says(page, 'all sidecars were told')

    await click(page, 'Delete …')
    await page.getByRole('dialog').getByText('form:1').waitFor({ timeout: patienceMs })
    t.equal(await page.evaluate('document.activeElement.textContent'), 'Keep it')
    await page.keyboard.press('Escape')
    t.equal(await page.getByRole('dialog').count(), 0)
    t.equal((await run("select from cache_entries where key = 'form:1'")).length, 1, 'kept')
    await page.getByRole('button', { name: 'Delete …' }).press('Enter')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await says(page, 'form:1: deleted.')
    t.equal(await page.evaluate('document.activeElement.textContent'), 'Delete …', 'the focus returns')
    t.equal((await run("select from cache_entries where key = 'form:1'")).length, 0)
    await click(page, 'Delete …')
    await click(page, 'Delete it')
    await says(page, 'there is no such key')
    t.strictSame(faults, [])
  })

  t.test('a value that is not shown as a whole is not offered to be written back', async (t) => {
    await run("insert into cache_entries (key, value) values ('long', repeat('x', 2000))")
    const { page } = await openKeys(t, writable.ops.base)
    await page.getByRole('button', { name: 'Change long' }).click()
    t.equal(await page.getByLabel('Value').inputValue(), '')
    await click(page, 'Set the value')
    t.equal(await page.evaluate("document.querySelector('#write-value').matches(':invalid')"), true)
    t.equal(await page.locator('#write-note').textContent(), '')
  })

  t.test('what is refused has its reason', async (t) => {
    await run('create table shown (id int primary key)')
    await run("select cache_bind('shown', key => 'shown:{id}')")
    const { page } = await openKeys(t, writable.ops.base)
    await page.getByLabel('Key', { exact: true }).fill('shown:1')
    await page.getByLabel('Value').fill('1')
    await click(page, 'Set the value')
    await says(page, 'bound to rows of tables by shown:{id}')
    t.match(await page.locator('#write-note').textContent(), /^shown:1: The key/, 'the key is named once')
    t.strictSame(await run('select from shown'), [])
  })

  t.test('characters that are not seen are named, so that no key looks like another one', async (t) => {
    const { page, faults } = await openKeys(t, writable.ops.base)
    await page.getByLabel('Key', { exact: true }).fill('a\u202eb')
    await page.getByLabel('Groups').fill('g\u200b')
    await page.getByLabel('Value').fill('1')
    await click(page, 'Set the value')
    await says(page, 'a\\u202eb: written to the database.')
    await hasRow(page, 'keys', /^a\\u202eb.*g\\u200b/)
    await click(page, 'Delete …')
    await page.getByRole('dialog').getByText('a\\u202eb').waitFor({ timeout: patienceMs })
    await click(page, 'Delete it')
    await says(page, 'a\\u202eb: deleted.')
    t.equal((await run("select from cache_entries where key like 'a%b'")).length, 0)
    t.strictSame(faults, [])
  })

  t.test('it can be used by everybody, in both themes and on a phone', async (t) => {
    await run("insert into cache_entries (key, value) values ('phone', '1')")
    const { page, faults } = await openKeys(t, writable.ops.base, { viewport: { width: 320, height: 640 } })
    await hasRow(page, 'keys', 'phone')
    await page.getByLabel('Key', { exact: true }).fill(`a-very-${'long-'.repeat(40)}key`)
    for (const step of ['form', 'dialog'])
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme })
        t.equal(await page.evaluate('document.documentElement.scrollWidth'), 320, 'nothing is cut off')
        t.strictSame(await axeFindings(page), [], `${step}, ${colorScheme}`)
        if (step === 'form' && colorScheme === 'dark') await click(page, 'Delete …')
      }
    t.strictSame(faults, [])
  })

  t.test('without the setting there is no form', async (t) => {
    await run("insert into cache_entries (key, value) values ('seen', '1')")
    const { page } = await openKeys(t, readOnly.ops.base)
    await hasRow(page, 'keys', 'seen')
    t.equal(await page.locator('#write-form').isVisible(), false)
    t.equal(await page.locator('#keys button:visible').count(), 0)
  })

  t.test('while the database is unavailable, a write is pending', async (t) => {
    const { page, faults } = await openKeys(t, writable.ops.base)
    await server.stop('fast')
    await shows(page, 'DEGRADED')
    await page.getByLabel('Key', { exact: true }).fill('pending:1')
    await page.getByLabel('Value').fill('{"kept": true}')
    await click(page, 'Set the value')
    await says(page, 'pending:1: pending.')
    await click(page, 'Drop everywhere')
    await says(page, 'The database cannot be reached')
    await server.start()
    await shows(page, 'READY')
    await page.getByLabel('Prefix').fill('pending:')
    await page.keyboard.press('Enter')
    await hasRow(page, 'keys', 'pending:1')
    t.strictSame(
      faults.filter((fault) => !/503/.test(fault)),
      [],
    )
  })
})

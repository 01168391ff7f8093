import { existsSync } from 'node:fs'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import type { Owner } from './database.js'

/** The first one is made for this, and takes half the CPU time of the others. */
const places = [
  '/usr/bin/chromium-headless-shell',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
]

/** Path of a Chromium on this machine; undefined if there is none. */
export const browserPath = [process.env.TEST_BROWSER ?? '', ...places].find((path) => existsSync(path))

/** The line that is shown instead of the tests; false if there is a browser. */
export const noBrowser =
  browserPath === undefined && 'no browser: install chromium, or set TEST_BROWSER to the path of one'

/** Starts a browser. It is closed at the end of the test. */
export async function startBrowser(t: Owner): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: browserPath as string,
    // Chromium refuses its sandbox to root.
    args: ['--disable-gpu', ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])],
  })
  t.teardown(() => browser.close())
  return browser
}

export interface WatchedPage {
  readonly page: Page
  /** Errors of the console and of scripts, violations of the Content-Security-Policy, and requests to elsewhere. */
  readonly faults: readonly string[]
}

/**
 * Opens a page in a context of its own, and records what must not happen. It is closed at the end of the test: an open
 * page goes on drawing.
 */
export async function openPage(
  t: Owner,
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const page = await browser.newPage(options)
  t.teardown(() => page.close())
  const faults: string[] = []
  const { origin } = new URL(url)
  page.on('console', (message) => {
    // Chromium reports a connection that is lost, whatever the page does about it.
    if (message.type() === 'error' && !/net::ERR_/.test(message.text())) faults.push(message.text())
  })
  page.on('pageerror', (error) => faults.push(String(error)))
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== origin) faults.push(`request to ${request.url()}`)
  })
  await page.goto(url)
  return { page, faults }
}

/** Time in ms after which something that a page should show counts as missing. */
export const patienceMs = Number(process.env.TEST_PATIENCE_MS ?? 90_000)

/** Resolves when the page of a sidecar shows this state. */
export const shows = (page: Page, verdict: string) =>
  page.locator('#verdict', { hasText: new RegExp(`^${verdict}$`) }).waitFor({ timeout: patienceMs })

/** Resolves when a table of the page has a row with these words. */
export const hasRow = (
  page: Page,
  table: string,
  words: string | RegExp,
  state: 'visible' | 'attached' = 'visible',
) => page.locator(`#${table} tr`, { hasText: words }).first().waitFor({ timeout: patienceMs, state })

/**
 * `npm run screenshots`: takes the pictures of docs/images/ from the real page, while `dev --demo` runs.
 *
 *   --seconds=300   time for which the load runs before, so that the charts show something
 *   --views=FOLDER  writes every view into this folder instead, in both themes, wide and 320 px
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { Browser } from 'playwright-core'
import { noBrowser, openPage, startBrowser } from '../test/support/browser.js'
import { freePorts } from '../test/support/free-ports.js'

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '300' }, views: { type: 'string' } },
})
const program = resolve('dist/main.js')
const themes = ['light', 'dark'] as const
const wide = { width: 1_200, height: 965 }
const narrow = { width: 320, height: 640 }

const endings: (() => unknown)[] = []
const owner = { teardown: (end: () => unknown) => endings.unshift(end) }

/** Starts `dev --demo` in a folder of its own. Returns the addresses of its pages, the page to try it first. */
async function startDemo(): Promise<readonly string[]> {
  const cwd = await realpath(await mkdtemp(join(tmpdir(), 'caching-layer-screenshots-')))
  owner.teardown(() => rm(cwd, { recursive: true, force: true }))
  // PostgreSQL runs as another user if this runs as root.
  await chmod(cwd, 0o755)
  const port = await freePorts(5)
  const opsPort = port + 3
  const env = { ...process.env, PORT: `${port}`, OPS_PORT: `${opsPort}` }
  const stdio: ['ignore', 'pipe', 'inherit'] = ['ignore', 'pipe', 'inherit']
  const dev = spawn(process.execPath, [program, 'dev', '--demo'], { cwd, env, stdio })
  owner.teardown(async () => {
    dev.kill('SIGINT')
    if (dev.exitCode === null) await once(dev, 'exit')
  })
  let text = ''
  for await (const chunk of dev.stdout) {
    text += chunk
    if (text.includes('Ctrl-C')) break
  }
  return [port + 2, opsPort, opsPort + 1].map((one) => `http://127.0.0.1:${one}/`)
}

/** Pictures of the README: the overview in both themes. */
async function takeReadmePictures(browser: Browser, page: string): Promise<void> {
  await mkdir('docs/images', { recursive: true })
  for (const colorScheme of themes) {
    const opened = await openPage(owner, browser, `${page}ui/`, { viewport: wide, colorScheme })
    await opened.page.locator('#fleet tr').nth(1).waitFor()
    await opened.page.waitForTimeout(3_000)
    await opened.page.screenshot({ path: `docs/images/page-${colorScheme}.png` })
  }
}

/** Pictures of everything, to look at after a change. */
async function takeViews(
  browser: Browser,
  [tryPage, page]: readonly string[],
  folder: string,
): Promise<void> {
  await mkdir(folder, { recursive: true })
  const views = {
    try: `${tryPage}`,
    ...Object.fromEntries(
      ['overview', 'keys', 'database', 'settings'].map((view) => [view, `${page}ui/#${view}`]),
    ),
  }
  for (const [view, url] of Object.entries(views))
    for (const colorScheme of themes)
      for (const [size, viewport] of Object.entries({ wide, narrow })) {
        const { page: shown } = await openPage(owner, browser, url, { viewport, colorScheme })
        if (view === 'database') await shown.getByRole('button', { name: 'Check the database' }).click()
        await shown.waitForTimeout(view === 'database' ? 8_000 : 3_000)
        const path = join(folder, `${view}-${colorScheme}-${size}.png`)
        await shown.screenshot({ path, fullPage: true })
        await shown.context().close()
      }
}

if (noBrowser) throw new Error(noBrowser)
try {
  const pages = await startDemo()
  const browser = await startBrowser(owner)
  await sleep(Number(values.seconds) * 1_000)
  if (values.views === undefined) await takeReadmePictures(browser, `${pages[1]}`)
  else await takeViews(browser, pages, values.views)
} finally {
  for (const end of endings) await end()
}

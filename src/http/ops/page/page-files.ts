import { readFile } from 'node:fs/promises'
import type { PlainResponse } from '../../routes/response.js'

/** Folder that `npm run build` writes the page to, seen from `src/` and from `dist/`. */
const folder = new URL('../../../../dist/ui/', import.meta.url)

const files: ReadonlyMap<string, { readonly name: string; readonly contentType: string }> = new Map([
  ['', { name: 'index.html', contentType: 'text/html; charset=utf-8' }],
  ['page.js', { name: 'page.js', contentType: 'text/javascript; charset=utf-8' }],
  ['page.css', { name: 'page.css', contentType: 'text/css; charset=utf-8' }],
  ['icon.svg', { name: 'icon.svg', contentType: 'image/svg+xml' }],
])

/** Only files of this listener: nothing inline, nothing from elsewhere, in no frame. */
const contentSecurityPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const headers = [
  'Content-Security-Policy',
  contentSecurityPolicy,
  'Referrer-Policy',
  'no-referrer',
  'Cross-Origin-Opener-Policy',
  'same-origin',
  'Cross-Origin-Resource-Policy',
  'same-origin',
  'Cache-Control',
  'no-store',
] as const

/** Returns the file at a path below `/ui/`; undefined if there is none. Rejects if the page has not been built. */
export async function pageFile(path: string): Promise<PlainResponse | undefined> {
  const file = files.get(path)
  if (file === undefined) return undefined
  const body = await readFile(new URL(file.name, folder))
  return { status: 200, headers: [...headers, 'Content-Type', file.contentType], body }
}

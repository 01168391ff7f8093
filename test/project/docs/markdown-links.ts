import { readFileSync } from 'node:fs'
import { dirname, posix } from 'node:path'

export interface BrokenLink {
  readonly page: string
  readonly target: string
}

/** Returns the anchors that GitHub gives the headings of a page. */
export function anchorsOf(markdown: string): ReadonlySet<string> {
  const anchors = new Set<string>()
  const headings = withoutFences(markdown).matchAll(/^#{1,6} +(.+?) *$/gm)
  for (const [, heading = ''] of headings) {
    const base = slug(heading)
    let anchor = base
    for (let count = 1; anchors.has(anchor); count++) anchor = `${base}-${count}`
    anchors.add(anchor)
  }
  return anchors
}

/** Returns the targets of all links and images of a page, except those in code. */
export function linksOf(markdown: string): readonly string[] {
  const text = withoutFences(markdown).replaceAll(/`[^`\n]*`/g, '')
  const inline = [...text.matchAll(/\]\(\s*<?([^)\s>]+)/g)].map(([, target = '']) => target)
  const attributes = [...text.matchAll(/<(?:img|a|source)\b[^>]*?\b(?:src|href|srcset)="([^"]+)"/g)]
  const definitions = [...text.matchAll(/^\[[^\]]+\]:\s*(\S+)/gm)]
  return [...inline, ...[...attributes, ...definitions].map(([, target = '']) => target)]
}

/**
 * Returns the links between these files that lead nowhere: a file or folder that is not there, or a heading that the
 * page does not have. Links to other hosts are not followed.
 */
export function brokenLinks(
  files: readonly string[],
  read: (path: string) => string = (path) => readFileSync(path, 'utf8'),
): readonly BrokenLink[] {
  const known = new Set(files.flatMap((file) => [file, ...foldersOf(file)]))
  const broken: BrokenLink[] = []
  for (const page of files.filter((file) => file.endsWith('.md'))) {
    for (const target of linksOf(read(page))) {
      if (/^[a-z][a-z0-9+.-]*:/i.test(target)) continue
      const [path = '', anchor] = target.split('#', 2)
      const file = path === '' ? page : posix.join(dirname(page), decodeURIComponent(path)).replace(/\/$/, '')
      const isBroken =
        !known.has(file) ||
        (anchor !== undefined && !(file.endsWith('.md') && anchorsOf(read(file)).has(anchor)))
      if (isBroken) broken.push({ page, target })
    }
  }
  return broken
}

function foldersOf(file: string): readonly string[] {
  const parts = file.split('/').slice(0, -1)
  return ['.', ...parts.map((_, index) => parts.slice(0, index + 1).join('/'))]
}

function withoutFences(markdown: string): string {
  return markdown.replaceAll(/^ *(`{3,}|~{3,})[^\n]*\n[\s\S]*?^ *\1[^\n]*$/gm, '')
}

/**
 * Returns the anchor that GitHub makes of a heading: links become their text, punctuation goes, spaces become
 * hyphens.
 */
function slug(heading: string): string {
  return heading
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\p{M}_\- ]/gu, '')
    .replaceAll(' ', '-')
}

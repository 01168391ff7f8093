import { basename, posix } from 'node:path'
import ts from 'typescript'

/** Steps by which a test that may start servers and processes counts as farther away than a unit test. */
const slowerBy = 3
const command = 'dist/main.js'

/**
 * Returns the test files that load a source, directly or by others: first those named after it, then those of its
 * folder, which are both near, then the others, each by their distance. Among those at the same distance, the ones come
 * first whose text has words of the source's path that few others have. A test that names the built command loads
 * `src/main.ts`.
 *
 * @param {Map<string, string>} texts compiled files by their paths, as `compileProject` returns them
 * @param {string} source path of a TypeScript file
 * @returns {{ file: string, isNear: boolean }[]}
 */
export function nearestTests(texts, source) {
  const loadedBy = loaders(texts)
  const steps = new Map([[source.replace(/\.ts$/, '.js'), 0]])
  for (const [file, distance] of steps)
    for (const loader of loadedBy.get(file) ?? []) if (!steps.has(loader)) steps.set(loader, distance + 1)

  const words = basename(source, '.ts').split('-')
  const folder = posix.basename(posix.dirname(source))
  const mentions = [...words, folder].map((word) => testsWith(texts, word))
  const rank = (test) => {
    const isNamedAfter = words.every((word) => basename(test).includes(word))
    const distance = steps.get(test) + (test.startsWith('test/unit/') ? 0 : slowerBy)
    const rarity = mentions.reduce((sum, tests) => sum + (tests.has(test) ? 1 / tests.size : 0), 0)
    const isBeside = test.includes(`/${folder}/`) || basename(test).includes(folder)
    return [isNamedAfter ? 0 : 1, isBeside ? 0 : 1, distance, -rarity]
  }
  return [...steps.keys()]
    .filter((file) => file.endsWith('.test.js'))
    .map((file) => ({ file, rank: rank(file) }))
    .sort(({ rank: a }, { rank: b }) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2] || a[3] - b[3])
    .map(({ file, rank }) => ({ file, isNear: rank[0] === 0 || rank[1] === 0 }))
}

/**
 * Returns a file of `test/` and those of `test/` that it loads, directly or by others.
 *
 * @param {Map<string, string>} texts compiled files by their paths
 * @param {string} test
 */
export function partsOfTest(texts, test) {
  const parts = new Set([test])
  for (const part of parts)
    for (const imported of importsOf(part, texts.get(part) ?? ''))
      if (imported.startsWith('test/')) parts.add(imported)
  return [...parts]
}

function importsOf(file, text) {
  return ts
    .preProcessFile(text, true, true)
    .importedFiles.filter(({ fileName }) => fileName.startsWith('.'))
    .map(({ fileName }) => posix.join(posix.dirname(file), fileName))
}

function testsWith(texts, word) {
  const tests = [...texts.keys()].filter((file) => file.endsWith('.test.js'))
  return new Set(tests.filter((test) => texts.get(test).toLowerCase().includes(word)))
}

const known = new Map()

/** Returns, for each file, those that load it when they run. */
function loaders(texts) {
  if (known.has(texts)) return known.get(texts)
  const loadedBy = new Map()
  const add = (file, loader) => loadedBy.set(file, [...(loadedBy.get(file) ?? []), loader])
  for (const [file, text] of texts) {
    if (file.startsWith('dist/')) continue
    for (const imported of importsOf(file, text)) add(imported, file)
    if (file.startsWith('test/') && text.includes(command)) add('src/main.js', file)
  }
  known.set(texts, loadedBy)
  return loadedBy
}

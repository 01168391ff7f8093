import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Reads what V8 recorded about the processes of a test (`NODE_V8_COVERAGE`). A process that was killed recorded nothing.
 *
 * @param {string} records folder of the records
 * @param {string} project folder that the processes ran in
 * @returns {Promise<Record<string, [number, number][]>>} the parts that a process ran of each compiled file of `src/`
 */
export async function partsRun(records, project) {
  const run = new Map()
  for (const name of await readdir(records)) {
    for (const { url, functions } of resultOf(await readFile(join(records, name), 'utf8'))) {
      const file = fileOf(url, project)
      if (file) run.set(file, either(run.get(file), bytesOf(functions)))
    }
  }
  return Object.fromEntries([...run].map(([file, bytes]) => [file, partsOf(bytes)]))
}

/** A process that was killed while it wrote left a part of a record. */
function resultOf(record) {
  try {
    return JSON.parse(record).result
  } catch {
    return []
  }
}

/** Returns the path of a source; undefined for any other file. */
function fileOf(url, project) {
  const start = `file://${encodeURI(project)}/`
  const path = url.startsWith(start) ? url.slice(start.length).replace(/^dist\//, 'src/') : ''
  return path.startsWith('src/') ? path : undefined
}

/** Returns a byte for each character: 1 if it was run. An inner range counts more than those around it. */
function bytesOf(functions) {
  const ranges = functions
    .flatMap((one) => one.ranges)
    .sort((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset)
  const bytes = new Uint8Array(Math.max(...ranges.map(({ endOffset }) => endOffset)))
  for (const { startOffset, endOffset, count } of ranges)
    bytes.fill(count > 0 ? 1 : 0, startOffset, endOffset)
  return bytes
}

function either(a, b) {
  return a ? a.map((byte, index) => byte | b[index]) : b
}

/** Returns the ranges of characters that were run. */
function partsOf(bytes) {
  const parts = []
  for (let start = bytes.indexOf(1); start >= 0; ) {
    const found = bytes.indexOf(0, start)
    const end = found < 0 ? bytes.length : found
    parts.push([start, end])
    start = bytes.indexOf(1, end)
  }
  return parts
}

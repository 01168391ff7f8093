import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { project } from '../work-folder.mjs'
import { partsRun } from './coverage.mjs'

const known = join(project, 'node_modules/.cache/caching-layer-sample')

/**
 * Runs of tests without a change, each at most once: they tell how long a test takes, and what it runs. They are kept
 * for the next sample, as long as the sources and the test stay the same.
 */
export class UnchangedRuns {
  #work
  #texts
  #run
  #folder
  #runs = new Map()

  /**
   * @param {object} parts
   * @param {WorkFolder} parts.work
   * @param {Map<string, string>} parts.texts compiled files by their paths
   * @param {(folder: string, test: object, more: object) => Promise<object | undefined>} parts.run runs a test with more
   *   variables; resolves to its failure, if it failed
   */
  constructor({ work, texts, run }) {
    this.#work = work
    this.#texts = texts
    this.#run = run
    const shared = [...texts]
      .filter(([file]) => !file.startsWith('dist/') && !file.endsWith('.test.js'))
      .sort(([a], [b]) => (a < b ? -1 : 1))
    this.#folder = join(known, hashOf(shared.flat()))
  }

  /** Forgets the runs of other sources. */
  async open() {
    await mkdir(this.#folder, { recursive: true })
    for (const name of await readdir(known))
      if (join(known, name) !== this.#folder) await rm(join(known, name), { recursive: true, force: true })
  }

  /**
   * Resolves to undefined if the test does not pass.
   *
   * @returns {Promise<{ usualMs: number, parts: Record<string, [number, number][]> } | undefined>}
   */
  of(test) {
    if (!this.#runs.has(test.name)) this.#runs.set(test.name, this.#of(test))
    return this.#runs.get(test.name)
  }

  async #of(test) {
    const path = join(this.#folder, hashOf([test.name, this.#texts.get(test.file)]))
    try {
      return JSON.parse(await readFile(path, 'utf8'))
    } catch {
      const found = await this.#measured(test)
      if (found) await writeFile(path, JSON.stringify(found))
      return found
    }
  }

  async #measured(test) {
    const records = await mkdtemp(join(this.#work.path, 'records-'))
    await chmod(records, 0o777)
    const startedMs = performance.now()
    const failure = await this.#run(this.#work.unchanged, test, { NODE_V8_COVERAGE: records })
    const usualMs = performance.now() - startedMs
    const parts = failure ? {} : await partsRun(records, await realpath(this.#work.unchanged))
    await rm(records, { recursive: true, force: true })
    return failure ? undefined : { usualMs, parts }
  }
}

function hashOf(texts) {
  const hash = createHash('sha256')
  for (const text of texts) hash.update(text).update('\0')
  return hash.digest('hex').slice(0, 32)
}

import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jobs } from '../test-run.mjs'
import { project } from '../work-folder.mjs'
import { partsRun } from './coverage.mjs'
import { partsOfTest } from './nearest-tests.mjs'

const known = join(project, 'node_modules/.cache/caching-layer-sample')

/**
 * Runs of tests without a change: they tell how long a test takes, and what it runs. They are kept for the next sample,
 * as long as the sources and the files of the test stay the same.
 */
export class UnchangedRuns {
  #work
  #texts
  #run
  #folder
  #found = new Map()

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
    const sources = [...texts]
      .filter(([file]) => file.startsWith('src/'))
      .sort(([a], [b]) => (a < b ? -1 : 1))
    this.#folder = join(known, hashOf(sources.flat()))
  }

  /** Runs those of the tests that are not known from an earlier sample. Forgets the runs of other sources. */
  async complete(tests) {
    await mkdir(this.#folder, { recursive: true })
    for (const name of await readdir(known))
      if (join(known, name) !== this.#folder) await rm(join(known, name), { recursive: true, force: true })
    const missing = []
    for (const test of tests) {
      const found = await this.#earlier(test)
      if (found) this.#found.set(test.name, found)
      else missing.push(test)
    }
    if (missing.length > 0) console.log(`# ${missing.length} tests are run without a change`)
    await this.#work.forEach(missing, jobs, async (copy, test) => {
      const found = await this.#measured(copy, test)
      if (found === undefined) return console.log(`# ${test.name} does not pass, and is not used`)
      this.#found.set(test.name, found)
      await writeFile(this.#path(test), JSON.stringify(found))
    })
  }

  /**
   * Returns undefined if the test does not pass.
   *
   * @returns {{ usualMs: number, parts: Record<string, [number, number][]> } | undefined}
   */
  of(test) {
    return this.#found.get(test.name)
  }

  #path({ name, file }) {
    const parts = partsOfTest(this.#texts, file).map((part) => this.#texts.get(part) ?? part)
    return join(this.#folder, hashOf([name, ...parts]))
  }

  async #earlier(test) {
    try {
      return JSON.parse(await readFile(this.#path(test), 'utf8'))
    } catch {
      return undefined
    }
  }

  async #measured(copy, test) {
    const records = await mkdtemp(join(this.#work.path, 'records-'))
    await chmod(records, 0o777)
    const startedMs = performance.now()
    const failure = await this.#run(copy, test, { NODE_V8_COVERAGE: records })
    const usualMs = performance.now() - startedMs
    const parts = failure ? {} : await partsRun(records, await realpath(copy))
    await rm(records, { recursive: true, force: true })
    return failure ? undefined : { usualMs, parts }
  }
}

function hashOf(texts) {
  const hash = createHash('sha256')
  for (const text of texts) hash.update(text).update('\0')
  return hash.digest('hex').slice(0, 32)
}

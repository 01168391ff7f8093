import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { compileProject } from './compiled-project.mjs'
import { endRuns } from './test-run.mjs'

export const project = fileURLToPath(new URL('../..', import.meta.url))

/**
 * Folder with copies of the compiled project, and a database server for their tests. Both are gone when the program
 * ends.
 */
export class WorkFolder {
  #server
  #cluster
  #template
  #copies = 0
  #isEnding = false

  /** @param {string} path an empty folder */
  constructor(path) {
    this.path = path
    /** Copy that no trial changes. */
    this.unchanged = join(path, 'unchanged')
  }

  /** Runs `main` with a new folder. Exits with 0 if it resolves to true, and with 1 otherwise. */
  static async use(prefix, main) {
    const folder = new WorkFolder(await mkdtemp(join(tmpdir(), prefix)))
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
      process.once(signal, () => folder.#end().then(() => process.exit(1)))
    try {
      process.exitCode = (await main(folder)) ? 0 : 1
    } finally {
      await folder.#end()
    }
  }

  /** Variables of tests, which name the server, the cluster and the template of databases if they were made. */
  get environment() {
    return {
      ...(this.#server && { TEST_DATABASE_URL: this.#server.server.url() }),
      ...(this.#cluster && { TEST_CLUSTER: this.#cluster.folder }),
      ...(this.#template && { TEST_TEMPLATE: this.#template }),
    }
  }

  /** Compiles the project. Resolves to the compiled texts by their paths. */
  compile() {
    return compileProject(project, this.unchanged)
  }

  /**
   * Starts the server that tests share, with a template of databases, and makes a cluster for tests that start their
   * own.
   */
  async startServer() {
    const support = await import(join(this.unchanged, 'test/support/shared-server.js'))
    this.#server = await support.temporaryServer()
    const { makeTemplate } = await import(join(this.unchanged, 'test/support/database.js'))
    const { name } = await makeTemplate(this.#server.server.url(), 'template_of_caches')
    this.#template = name
    this.#cluster = await support.clusterToCopy()
  }

  /**
   * Calls `tryIn` with each item and a copy of the project, which it must leave as it was. `jobs` copies are in use at
   * once.
   */
  async forEach(items, jobs, tryIn) {
    const queue = [...items]
    await Promise.all(
      Array.from({ length: jobs }, async () => {
        const copy = join(this.path, `copy ${this.#copies++}`)
        await promisify(execFile)('cp', ['-R', this.unchanged, copy])
        while (queue.length > 0 && !this.#isEnding) await tryIn(copy, queue.shift())
      }),
    )
  }

  async #end() {
    this.#isEnding = true
    endRuns()
    await this.#server?.end()
    await this.#cluster?.end()
    // Copies may still be written.
    await rm(this.path, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 })
  }
}

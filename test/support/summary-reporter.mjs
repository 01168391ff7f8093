import { Transform } from 'node:stream'

const hasPassed = /^ *(ok \d|1\.\.)/
const isTotal = /^(# |Bail out!)/

/**
 * Reporter of `npm test`. Prints one line for each test file when it ends, and at the end what failed in which file. So
 * the last page of a CI log shows it.
 */
export default class SummaryReporter extends Transform {
  #unfinished = ''
  /** Lines of the test file that is being read. */
  #lines = []
  #failures = []

  _transform(chunk, _encoding, done) {
    const lines = (this.#unfinished + chunk).split('\n')
    this.#unfinished = lines.pop() ?? ''
    for (const line of lines) this.#read(line)
    done()
  }

  _flush(done) {
    if (this.#failures.length > 0) this.push(`\nFailed:\n${this.#failures.join('\n')}\n\n`)
    const totals = [...this.#lines, this.#unfinished].filter((line) => isTotal.test(line))
    this.push(`${totals.join('\n')}\n`)
    done()
  }

  #read(line) {
    if (!hasPassed.test(line)) this.#lines.push(line)
    if (!/^(not )?ok /.test(line)) return
    this.push(`${line}\n`)
    if (line.startsWith('not ')) this.#failures.push(this.#lines.join('\n'))
    this.#lines = []
  }
}

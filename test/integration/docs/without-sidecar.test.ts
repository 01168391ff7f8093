import { execFile, spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { freePorts } from '../../support/free-ports.js'
import { blocksOf } from '../../support/markdown-blocks.js'

t.test('the program in Python computes without a sidecar', async (t) => {
  if (spawnSync('python3', ['--help'], { stdio: 'ignore' }).error) {
    t.comment('not run: python3 is not installed')
    return
  }
  const blocks = blocksOf(await readFile('docs/how-to/use-from-other-languages.md', 'utf8'))
  const program = blocks.find(({ language }) => language === 'python')?.text ?? ''
  const functions = program.slice(0, program.indexOf('\nstatus, headers, _ ='))
  const path = join(t.testdir({}), 'program.py')
  const base = `http://127.0.0.1:${await freePorts(1)}`
  const text = functions.replace('http://127.0.0.1:8025', base)
  await writeFile(path, `${text}\nprint(get_or_compute("report:7", report, 60))\n`)
  const { stdout } = await promisify(execFile)('python3', [path])
  t.equal(stdout, "computing\n{'total': 42}\n")
})

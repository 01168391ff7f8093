import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const project = fileURLToPath(new URL('../../../', import.meta.url))

/** Resolves to the names of Node's own modules that a process has loaded after some imports. */
async function loadedBy(...imports: readonly string[]): Promise<string> {
  const program = `${imports.map((name) => `await import('${name}')`).join('\n')}
    console.log(process.moduleLoadList.join(' '))`
  const args = ['--input-type=module', '--eval', program]
  return (await promisify(execFile)(process.execPath, args, { cwd: project })).stdout
}

t.test('pg makes Node load no HTTP client of its own', async (t) => {
  const httpClient = /undici/
  t.notMatch(await loadedBy('./dist/cli/node-navigator.js', 'pg'), httpClient)
  if (!('navigator' in globalThis)) t.match(await loadedBy('pg'), httpClient, 'as it does in Node 20')
})

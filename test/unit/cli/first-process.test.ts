import { join } from 'node:path'
import t from 'tap'
import { flagsOfFirstProcess } from '../../../src/cli/first-process.js'

t.test('the flags of process 1 are known if it is the same program, and serves', async (t) => {
  const flagsOf = async (first: readonly string[], own = ['node', 'dist/main.js', 'healthcheck']) => {
    const text = (words: readonly string[]) => words.map((word) => `${word}\0`).join('')
    const folder = t.testdir({ first: text(first), own: text(own) })
    return flagsOfFirstProcess({ first: join(folder, 'first'), own: join(folder, 'own') })
  }
  const serve = ['node', 'dist/main.js', 'serve']
  t.same(
    await flagsOf([...serve, '--no-migrate', '--ops-port=9100', '--cache-config-file', '/etc/cache.yaml']),
    new Map([
      ['ops-port', '9100'],
      ['cache-config-file', '/etc/cache.yaml'],
    ]),
  )
  t.same(await flagsOf(serve), new Map())
  t.same(await flagsOf(['node', 'dist/main.js', 'migrate', '--ops-port=9100']), new Map())
  t.same(await flagsOf(['node', 'other.js', 'serve', '--ops-port=9100']), new Map())
  t.same(await flagsOf(['/sbin/init']), new Map())
  const nowhere = { first: '/nonexistent/first', own: '/nonexistent/own' }
  t.same(await flagsOfFirstProcess(nowhere), new Map(), 'as on other systems')
})

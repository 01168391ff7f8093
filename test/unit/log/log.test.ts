import t from 'tap'
import type { LogLevel } from '../../../src/config/settings/process-settings.js'
import { createLog } from '../../../src/telemetry/log/log.js'

function logged(write: (log: ReturnType<typeof createLog>) => void, level: LogLevel = 'info') {
  const lines: Record<string, unknown>[] = []
  write(createLog(level, { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) }))
  return lines
}

t.test('a line names the service, and is left out below the level', async (t) => {
  const lines = logged((log) => {
    log.debug('m')
    log.info({ port: 1 }, 'm')
  })
  t.match(lines, [{ level: 30, service: 'caching-layer', port: 1, msg: 'm' }])
  t.strictSame(Object.keys(lines[0] ?? {}).sort(), ['level', 'msg', 'port', 'service', 'time'])
})

t.test('no secret is logged, wherever it is', async (t) => {
  for (const name of ['password', 'authorization', 'token', 'value'])
    t.match(
      logged((log) => log.info({ [name]: 'secret', inside: { [name]: 'secret' } }, 'm')),
      [{ [name]: '***', inside: { [name]: '***' } }],
    )
  const url = 'connect postgresql://app:secret@db:5432/name?password=secret "http://h/p?q=secret"'
  const scrubbed = 'connect postgresql://app@db:5432/name?*** "http://h/p?***"'
  t.match(
    logged((log) => log.info({ reason: url }, 'm')),
    [{ reason: scrubbed }],
  )
  t.match(
    logged((log) => log.info({ err: url }, 'm')),
    [{ err: scrubbed }],
  )
  const error = Object.assign(new TypeError(url), {
    code: '23514',
    detail: 'secret',
    cause: new Error('secret'),
  })
  const [line] = logged((log) => log.error({ err: error }, 'm'))
  t.match(line, {
    err: { type: 'TypeError', message: scrubbed, code: '23514', stack: /^TypeError: connect/ },
  })
  t.notMatch(JSON.stringify(line), 'secret')
  t.strictSame(Object.keys((logged((log) => log.error({ err: new Error('m') }))[0]?.err ?? {}) as object), [
    ...['type', 'message', 'stack'],
  ])
})

t.test('the level of the log decides what is left out', async (t) => {
  const write = (log: ReturnType<typeof createLog>) => {
    log.debug('a')
    log.warn('b')
    log.error('c')
  }
  const messages = (level: LogLevel) => logged(write, level).map(({ msg }) => msg)
  t.strictSame(messages('debug'), ['a', 'b', 'c'])
  t.strictSame(messages('error'), ['c'])
})

t.test('a URL without secrets stays as it is, and an error has what it has', async (t) => {
  const url = 'connect postgresql://app@db:5432/name'
  t.equal(logged((log) => log.info({ reason: url }, 'm'))[0]?.reason, url)
  const bare = Object.assign(new Error('m'), { code: 7, stack: undefined })
  t.strictSame(logged((log) => log.error({ err: bare }, 'm'))[0]?.err, { type: 'Error', message: 'm' })
})

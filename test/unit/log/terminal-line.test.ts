import t from 'tap'
import { terminalLine } from '../../../src/telemetry/log/terminal-line.js'

const time = new Date(2026, 0, 2, 3, 4, 5).getTime()
const shown = (line: object, hasColors = false) =>
  terminalLine(JSON.stringify({ time, ...line }), { hasColors })

t.test('a log line for people has time, level, message and fields', async (t) => {
  const common = { service: 'caching-layer', pid: 1, hostname: 'h' }
  t.equal(
    shown({
      level: 30,
      msg: 'serving',
      ...common,
      port: 8025,
      host: '127.0.0.1',
      why: 'two words',
      list: [1],
    }),
    '03:04:05 INFO  serving port=8025 host=127.0.0.1 why="two words" list=[1]\n',
  )
  for (const [level, name] of [
    [10, 'TRACE'],
    [20, 'DEBUG'],
    [40, 'WARN '],
    [50, 'ERROR'],
    [60, 'FATAL'],
    [35, '?    '],
  ] as const)
    t.equal(shown({ level, msg: 'm' }), `03:04:05 ${name} m\n`)
})

t.test('an error has its stack below, and what is no log line stays as it is', async (t) => {
  t.equal(
    shown({ level: 50, msg: 'm', err: { stack: 'Error: e\n    at x\u001b' } }),
    '03:04:05 ERROR m\nError: e\n    at x \n',
  )
  t.equal(shown({ level: 50, msg: 'm', err: 'text' }), "03:04:05 ERROR m\n'text'\n")
  t.equal(terminalLine('no JSON', { hasColors: true }), 'no JSON')
})

t.test('colors show the level, and control characters do nothing', async (t) => {
  const [dim, plain] = ['\x1b[2m', '\x1b[0m']
  for (const [level, name, color] of [
    [10, 'TRACE', dim],
    [20, 'DEBUG', dim],
    [30, 'INFO ', '\x1b[32m'],
    [40, 'WARN ', '\x1b[33m'],
    [50, 'ERROR', '\x1b[31m'],
    [60, 'FATAL', '\x1b[31m'],
  ] as const)
    t.equal(
      shown({ level, msg: 'm\u0007\u009b', a: 1 }, true),
      `${dim}03:04:05${plain} ${color}${name}${plain} m   ${dim}a=1${plain}\n`,
    )
  t.equal(shown({ level: 35, msg: 'm' }, true), `${dim}03:04:05${plain} ?     m\n`)
})

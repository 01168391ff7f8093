import { readFile } from 'node:fs/promises'
import { parseKeyChoice } from '../load/key-choice.js'
import { parseMix } from '../load/mix.js'
import { OpenLoop } from '../load/open-loop.js'
import { ownLimit } from '../load/own-limit.js'
import { type LoadReport, linesOf } from '../load/report.js'
import { keyPrefix, requestsOf } from '../load/requests.js'
import type { Command, CommandInput } from './command.js'
import { DataListener } from './data-listener.js'
import { UsageError } from './usage-error.js'

const ownLimitMs = 1_000
const progressMs = 1_000

/** A load on a sidecar of one's own, at a rate. */
export const bench: Command = {
  options: {
    url: { type: 'string' },
    mix: { type: 'string' },
    keys: { type: 'string' },
    rate: { type: 'string' },
    duration: { type: 'string' },
    connections: { type: 'string' },
    'value-bytes': { type: 'string' },
    compare: { type: 'string' },
    json: { type: 'boolean' },
  },
  settings: true,
  async run(input) {
    const { flags, values, stop, out, note, progress } = input
    const mixText = values.get('mix') ?? 'get=90,set=10'
    const keysText = values.get('keys') ?? 'zipf:10000'
    const mix = given('mix', () => parseMix(mixText))
    const keys = given('keys', () => parseKeyChoice(keysText))
    const rate = number(values, 'rate', 1_000, 1_000_000)
    const seconds = number(values, 'duration', 10, 86_400)
    const connections = number(values, 'connections', 32, 10_000)
    const valueBytes = number(values, 'value-bytes', 100, 1_000_000)
    const compare = values.get('compare')
    const before = compare === undefined ? undefined : await earlier(compare)
    const listener = await DataListener.of(input)
    const { host, port, token } = listener.address()
    note(`measuring what this load itself can do ...`)
    const ownLimitPerSecond = await ownLimit(connections, ownLimitMs)
    const countedBefore = await countsOf(listener)
    const startedAt = new Date().toISOString()
    const loop = new OpenLoop({
      host,
      port,
      connections,
      rate,
      durationMs: seconds * 1_000,
      next: requestsOf({ mix, keys, valueBytes, host, token, random: Math.random }),
      stop,
    })
    let lastAnswered = 0
    const timer = setInterval(() => {
      progress(`${loop.answered - lastAnswered} requests/s, ${loop.answered} so far`)
      lastAnswered = loop.answered
    }, progressMs)
    const result = await loop.run().finally(() => clearInterval(timer))
    const counted = await countsOf(listener)
    const reads =
      counted && countedBefore && counted.hits + counted.misses - countedBefore.hits - countedBefore.misses
    const report: LoadReport = {
      url: `http://${host}:${port}`,
      mix: mixText,
      keys: keysText,
      rate,
      connections,
      valueBytes,
      startedAt,
      ownLimitPerSecond,
      hitRatio: reads ? (counted.hits - countedBefore.hits) / reads : undefined,
      ...result,
    }
    if (flags.has('json')) out(JSON.stringify(report))
    for (const line of linesOf(report, before)) (flags.has('json') ? note : out)(line)
    if (mix.has('set')) note(`its entries are left: delete from cache_entries where key like '${keyPrefix}%'`)
    return 0
  },
}

async function countsOf(listener: DataListener): Promise<{ hits: number; misses: number } | undefined> {
  const { status, body } = await listener.ask('/cache/stats')
  return status === 200 ? (body as { hits: number; misses: number }) : undefined
}

function given<T>(option: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new UsageError(`bench: --${option} ${(error as Error).message}`)
  }
}

function number(values: CommandInput['values'], option: string, fallback: number, most: number): number {
  const text = values.get(option)
  if (text === undefined) return fallback
  const value = /^\d+$/.test(text) ? Number(text) : 0
  if (value >= 1 && value <= most) return value
  throw new UsageError(`bench: --${option} must be a whole number from 1 to ${most}, not "${text}"`)
}

/** What `--json` wrote. */
async function earlier(path: string): Promise<LoadReport> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as LoadReport
  } catch (error) {
    throw new UsageError(`bench: --compare ${path}: ${(error as Error).message}`)
  }
}

import { readFile } from 'node:fs/promises'
import { integer } from '../../config/parse.js'
import { differences, parseBaseline } from '../../tools/load/baseline.js'
import { calibrate } from '../../tools/load/calibration.js'
import { type KeyChoice, parseKeyChoice } from '../../tools/load/key-choice.js'
import { measure } from '../../tools/load/measure.js'
import { type Operation, parseMix } from '../../tools/load/mix.js'
import { preload } from '../../tools/load/preload.js'
import { type LoadReport, reportLines } from '../../tools/load/report.js'
import { keyPrefix, Requests } from '../../tools/load/requests.js'
import type { Command, CommandInput } from '../command.js'
import { type ListenerClient, refusal } from '../listener-client.js'
import { dataListener, urlOptions } from '../listeners.js'
import { parseOption } from '../parse-option.js'

const mostOwnLimitMs = 500

/** Sends requests to a running sidecar at a fixed rate. */
export const bench: Command = {
  options: {
    mix: { type: 'string', value: 'MIX', about: 'share of each operation (get=90,set=10)' },
    keys: { type: 'string', value: 'KEYS', about: 'choice of keys (zipf:10000)' },
    rate: { type: 'string', value: 'NUMBER', about: 'requests per second (1000)' },
    duration: { type: 'string', value: 'SECONDS', about: 'duration of the measurement (10)' },
    connections: { type: 'string', value: 'NUMBER', about: 'connections to the sidecar (32)' },
    'value-bytes': { type: 'string', value: 'NUMBER', about: 'size of a value (100)' },
    'no-fill': { type: 'boolean', about: 'do not write the entries first' },
    keep: { type: 'boolean', about: 'keep the entries afterwards' },
    compare: { type: 'string', value: 'PATH', about: 'compare with the --json output of an earlier run' },
    json: { type: 'boolean', about: 'print the result as JSON' },
    url: urlOptions.data,
  },
  settings: 'accepted',
  async run(input) {
    const { flags, values, stop, out, note, progress } = input
    const options = optionsFrom(values)
    const { mix, keys, durationMs, connections } = options
    const compare = values.get('compare')
    const before = compare === undefined ? undefined : await earlier(compare)
    for (const difference of before ? differences(options.conditions, before) : [])
      note(`these runs are not comparable: ${difference}`)
    const listener = await dataListener(input)
    // A sidecar that does not answer, or refuses the requests, is found out first.
    await readsOf(listener)
    const { address, host, token } = listener.address()
    const requests = new Requests({ valueBytes: options.conditions.valueBytes, host, token })
    const ownLimitPerSecond = await calibrate(connections, Math.min(mostOwnLimitMs, durationMs / 10))
    note(`this load generator can send up to ${Math.round(ownLimitPerSecond)} requests/s`)

    let written = 0
    try {
      if (!flags.has('no-fill')) {
        written = keys.count
        note(`writing its ${keys.count} entries, ${keyPrefix}1 and so on; use --no-fill to skip this`)
        const onProgress = (done: number) => progress(`writing its entries: ${done} of ${keys.count}`)
        const make = (number: number) => requests.make('set', number)
        written = await preload({ address, connections, count: keys.count, make, onProgress, stop })
      }
      if (stop.aborted) throw new Error('stopped before anything was measured')
      if (mix.has('set')) written = keys.count
      const readsBefore = await readsOf(listener)
      const startedAt = new Date().toISOString()
      const result = await measure({ ...options, address, requests, stop, progress })
      const reads = await readsOf(listener).catch(() => undefined)
      const report: LoadReport = {
        report: 'caching-layer bench',
        url: listener.name,
        ...options.conditions,
        startedAt,
        ownLimitPerSecond: Math.round(ownLimitPerSecond),
        ...result,
        ...(reads && hitRatio(readsBefore, reads)),
      }
      if (flags.has('json')) out(JSON.stringify(report))
      for (const line of reportLines(report, before)) (flags.has('json') ? note : out)(line)
      if (report.lost !== undefined) throw new Error(`${listener.name}: ${report.lost}`)
      return report.answered > report.failed ? 0 : 1
    } finally {
      if (written > 0) await cleanUp(written)
    }

    async function cleanUp(count: number): Promise<void> {
      const bySql = `delete from cache_entries where key like '${keyPrefix}%'`
      if (flags.has('keep')) {
        note(`its entries are kept; to remove them: ${bySql}`)
        return
      }
      note(`removing its ${count} entries; if that is interrupted: ${bySql}`)
      const onProgress = (done: number) => progress(`removing its entries: ${done} of ${count}`)
      const make = (number: number) => requests.make('del', number)
      await preload({ address, connections, count, make, onProgress }).catch((error: Error) =>
        note(`they could not be removed: ${error.message}`),
      )
    }
  },
}

interface Options {
  readonly mix: ReadonlyMap<Operation, number>
  readonly keys: KeyChoice
  readonly rate: number
  readonly durationMs: number
  readonly connections: number
  /** The conditions as shown in the report. */
  readonly conditions: Pick<LoadReport, 'mix' | 'keys' | 'rate' | 'connections' | 'valueBytes'>
}

function optionsFrom(values: CommandInput['values']): Options {
  const mix = values.get('mix') ?? 'get=90,set=10'
  const keys = values.get('keys') ?? 'zipf:10000'
  const rate = number(values, 'rate', 1_000, 1_000_000)
  const connections = number(values, 'connections', 32, 10_000)
  const valueBytes = number(values, 'value-bytes', 100, 1_000_000)
  return {
    mix: parseOption('bench', 'mix', mix, parseMix),
    keys: parseOption('bench', 'keys', keys, parseKeyChoice),
    rate,
    durationMs: number(values, 'duration', 10, 86_400) * 1_000,
    connections,
    conditions: { mix, keys, rate, connections, valueBytes },
  }
}

function number(values: CommandInput['values'], option: string, fallback: number, most: number): number {
  const text = values.get(option)
  return text === undefined ? fallback : parseOption('bench', option, text, integer(1, most))
}

async function earlier(path: string): Promise<LoadReport> {
  try {
    return parseBaseline(await readFile(path, 'utf8'))
  } catch (error) {
    throw new Error(`--compare ${path}: ${(error as Error).message}`, { cause: error })
  }
}

interface Reads {
  readonly hits: number
  readonly misses: number
}

async function readsOf(listener: ListenerClient): Promise<Reads> {
  const answer = await listener.ask('/cache/stats')
  if (answer.status !== 200) throw refusal(answer)
  const { hits, misses } = answer.body
  if (typeof hits !== 'number' || typeof misses !== 'number')
    throw new Error(`${listener.name}: not a sidecar: the response has no hit counts`)
  return { hits, misses }
}

/** Returns the ratio of hits. It includes the reads of other clients. */
function hitRatio(before: Reads, now: Reads): { readonly hitRatio?: number } {
  const hits = now.hits - before.hits
  const all = hits + now.misses - before.misses
  return all > 0 ? { hitRatio: hits / all } : {}
}

import { text as textOf } from 'node:stream/consumers'
import type { Command } from '../command.js'
import { refusal } from '../listener-client.js'
import { dataListener, urlOptions } from '../listeners.js'
import { parseOption } from '../parse-option.js'
import { UsageError } from '../usage-error.js'

/** Writes one entry: the given text or, with `--json`, the JSON value that it contains. `-` reads it from stdin. */
export const set: Command = {
  options: {
    json: { type: 'boolean', about: 'VALUE is JSON and not a string' },
    ttl: {
      type: 'string',
      value: 'SECONDS',
      about: 'time to live of the entry; without it, the entry does not expire',
    },
    url: urlOptions.data,
  },
  settings: 'accepted',
  positionals: 'KEY VALUE',
  async run({ flags, values, positionals, environment, note }) {
    const [key, given, ...more] = positionals
    if (key === undefined || given === undefined || more.length > 0)
      throw new UsageError('set: name a key and a value, or - for one on stdin')
    const text = given === '-' ? await textOf(process.stdin) : given
    const value = flags.has('json') ? checked(text) : JSON.stringify(text)
    const ttl = values.get('ttl')
    const member = ttl === undefined ? '' : `,"ttl_seconds":${parseOption('set', 'ttl', ttl, ttlSeconds)}`
    const listener = await dataListener({ environment, values })
    const answer = await listener.ask('/cache/set', {
      method: 'POST',
      body: `{"key":${JSON.stringify(key)},"value":${value}${member}}`,
    })
    if (answer.status !== 200) throw refusal(answer)
    if (answer.body.db_written === false)
      note('pending: the sidecar writes it when the database is available')
    return 0
  },
}

/** Returns the text unchanged if it is JSON. Parsing it would change numbers. */
function checked(text: string): string {
  try {
    JSON.parse(text)
    return text
  } catch {
    throw new UsageError('set: with --json the value must be JSON')
  }
}

/** Limits of the sidecar. */
const [shortestSeconds, longestSeconds] = [0.001, 1_000_000_000]

function ttlSeconds(text: string): number {
  const seconds = /^(\d+(\.\d+)?|\.\d+)$/.test(text) ? Number(text) : Number.NaN
  if (seconds >= shortestSeconds && seconds <= longestSeconds) return seconds
  throw new Error(`must be a number of seconds from ${shortestSeconds} to ${longestSeconds}, not "${text}"`)
}

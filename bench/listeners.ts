import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { ask, nextMessage } from './child.js'
import type { Lifetime } from './lifetime.js'
import type { BenchDatabase } from './postgres.js'
import { startProgram } from './program.js'

/** Each key that a listener has heard of, with the moment by the machine's monotonic clock. */
export type Heard = readonly (readonly [key: string, heardMs: number])[]

const most = 10

const programs = {
  'sidecar feeds': new URL('inside/fleet.mjs', import.meta.url),
  'bare clients': new URL('peers/listeners.mjs', import.meta.url),
} as const

export type ListenerKind = keyof typeof programs

/** Many that listen, up to ten in one process. */
export interface Listeners {
  readonly kind: ListenerKind
  readonly count: number
  readonly pids: readonly number[]
  /** Returns the number of changes that all of them together have received. */
  heard(): Promise<number>
  /** Listener by listener; forgotten then. */
  take(): Promise<Heard[]>
  /** Returns the moments at which feeds became live since the last reset. Sidecars only. */
  live(): Promise<number[]>
  forgetLive(): Promise<void>
}

export async function startListeners(
  round: Pick<Lifetime, 'teardown'>,
  kind: ListenerKind,
  count: number,
  { url, channel }: BenchDatabase,
  environment: Readonly<Record<string, string>> = {},
): Promise<Listeners> {
  const hosts: ChildProcess[] = []
  for (let started = 0; started < count; started += most) {
    const { child } = startProgram(round, [process.execPath, fileURLToPath(programs[kind])], {
      on: 'server',
      ipc: true,
      environment: {
        // They have no requests, and are to be proven all the same.
        CACHE_IDLE_AFTER_MS: '0',
        ...environment,
        DATABASE_URL: url,
        CHANNEL: channel,
        COUNT: String(Math.min(most, count - started)),
      },
    })
    child.stdout?.resume()
    child.stderr?.on('data', (text) => process.stderr.write(text))
    await nextMessage(child)
    hosts.push(child)
  }
  const askAll = <T>(question: string) => Promise.all(hosts.map((host) => ask<T>(host, question)))
  return {
    kind,
    count,
    pids: hosts.map(({ pid }) => pid as number),
    heard: async () => (await askAll<number>('count')).reduce((sum, heard) => sum + heard, 0),
    take: async () => (await askAll<Heard[]>('take')).flat(),
    live: async () => (await askAll<number[]>('live')).flat(),
    forgetLive: async () => {
      await askAll('forget live')
    },
  }
}

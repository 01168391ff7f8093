import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultProxy } from '../support/fault-proxy.js'
import type { Target } from './target.js'

/** Actions that loads can take besides sending requests. */
export interface Surroundings {
  /** Between the sidecar and its database. */
  readonly proxy: FaultProxy
  /** The sidecar's CACHE_CONFIG_FILE. */
  readonly configFile: string
}

/** One way to ask for more memory than there is. */
export interface Load {
  readonly name: string
  /** Repeated until the run is over. */
  readonly round: (target: Target, surroundings: Surroundings, round: number) => Promise<void>
  readonly pauseMs: number
}

const mebibyte = 1024 * 1024
export const smallKeys = Array.from({ length: 100 }, (_, n) => `small ${n}`)
export const largeKey = 'large'
export const coldReads = 400
export const hugeKey = 'huge'

/** The other loads need the database, too. */
const longestOutageMs = 4_000

const times = (count: number) => Array.from({ length: count }, (_, n) => n)

/** Runs the tasks, so many at a time. */
async function inTurn(count: number, atOnce: number, task: (n: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < count) await task(next++)
  }
  await Promise.all(times(atOnce).map(worker))
}

const getLarge = `GET /cache/get?key=${largeKey} HTTP/1.1\r\nHost: localhost\r\n\r\n`

const getAbsent = 'GET /cache/get?key=a HTTP/1.1\r\nHost: localhost\r\n\r\n'

/** All but the last byte of a set of 1 MiB. */
const unfinishedSet = `POST /cache/set HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${mebibyte}\r\n\r\n${'x'.repeat(mebibyte - 1)}`
/** The same without saying how long it is. */
const unfinishedChunks = `POST /cache/set HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${(mebibyte - 1).toString(16)}\r\n${'x'.repeat(mebibyte - 1)}\r\n`

/** Holds the connections for a while. */
async function hold(sockets: readonly { destroy(): void }[], forMs: number): Promise<void> {
  await sleep(forMs)
  for (const socket of sockets) socket.destroy()
}

/** Rows of section 1 of the issue "Every byte is bounded", and ordinary traffic. */
export const loads: readonly Load[] = [
  {
    name: 'pipelined reads of 1 MiB, never read',
    pauseMs: 1_000,
    round: async (target) => {
      await target.set(largeKey, JSON.stringify('l'.repeat(mebibyte - 100)))
      await target.get(largeKey)
      await hold(
        times(10).map(() => target.silent(getLarge.repeat(200))),
        3_000,
      )
    },
  },
  {
    name: 'short pipelined reads on many connections',
    pauseMs: 1_000,
    round: (target) =>
      hold(
        times(200).map(() => target.silent(getAbsent.repeat(1_200))),
        3_000,
      ),
  },
  {
    name: 'cold reads of 1 MB',
    pauseMs: 2_000,
    round: async (target) => {
      await Promise.all(times(coldReads).map((n) => target.get(`cold ${n}`)))
    },
  },
  {
    name: 'a row of 90 MiB',
    pauseMs: 1_000,
    round: (target) => target.get(hugeKey),
  },
  {
    name: 'sets of 32 KiB during an outage',
    pauseMs: 10_000,
    round: async (target, { proxy }, round) => {
      const value = JSON.stringify('k'.repeat(32 * 1024))
      proxy.set({ admission: 'refuse' })
      proxy.reset()
      const healing = setTimeout(() => proxy.heal({ reset: true }), longestOutageMs)
      await inTurn(5_132, 64, (n) => target.set(`kept ${round} ${n}`, value))
      clearTimeout(healing)
      proxy.heal({ reset: true })
    },
  },
  {
    name: 'unfinished bodies of 1 MiB',
    pauseMs: 1_000,
    round: (target) =>
      hold(
        times(250).map((n) => target.silent(n % 2 === 0 ? unfinishedSet : unfinishedChunks)),
        3_000,
      ),
  },
  {
    name: 'unfinished bodies of 1 MiB, no token',
    pauseMs: 1_000,
    round: (target) =>
      hold(
        times(250).map((n) => target.silent(n % 2 === 0 ? unfinishedSet : unfinishedChunks, false)),
        3_000,
      ),
  },
  {
    name: 'a capacity that cannot fit',
    pauseMs: 5_000,
    round: async (_target, { configFile }, round) => {
      writeFileSync(configFile, JSON.stringify({ CACHE_CAPACITY: round % 2 === 0 ? 100_000_000 : 20_000 }))
    },
  },
  {
    name: 'sets of 1 MB of [1e20,...] and of wide text',
    pauseMs: 1_000,
    round: async (target) => {
      const numbers = `[${times(200_000)
        .map(() => '1e20')
        .join()}]`
      const wide = JSON.stringify('\u4e2d'.repeat(330_000))
      await inTurn(40, 20, async (n) => {
        await target.set(`numbers ${n}`, n % 2 === 0 ? numbers : wide)
        await target.get(`numbers ${n}`)
      })
    },
  },
  {
    name: '186 values of 900 kB',
    pauseMs: 1_000,
    round: async (target) => {
      const value = JSON.stringify('v'.repeat(900_000))
      await inTurn(186, 16, async (n) => {
        await target.set(`value ${n}`, value)
        await target.get(`value ${n}`, { 'Cache-Control': 'no-cache' })
      })
    },
  },
  {
    name: 'small sets, reads and deletes',
    pauseMs: 0,
    round: async (target, _surroundings, round) => {
      await inTurn(50, 8, async (n) => {
        const key = `ordinary ${round % 40} ${n}`
        await target.set(key, String(n))
        await target.get(key)
        if (n % 10 === 0) await target.delete(key)
      })
      await sleep(20)
    },
  },
]

import { type ChildProcess, spawn } from 'node:child_process'
import { setMaxListeners } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { FaultProxy } from '../support/fault-proxy.js'
import { temporaryServer } from '../support/shared-server.js'
import { coldReads, hugeKey, loads, smallKeys } from './loads.js'
import { MemoryCgroup } from './memory-cgroup.js'
import { ResidentSize } from './resident-size.js'
import { shippedSettings } from './shipped-settings.js'
import { type LoadCounts, Tally } from './tally.js'
import { Target, token } from './target.js'

export interface TortureOptions {
  /** Time after which no load begins another round than its first. */
  readonly durationMs: number
  /** `--max-old-space-size` of the sidecar. */
  readonly heapMebibytes: number
  /** Limit of the cgroup that the sidecar runs in. */
  readonly limitMebibytes: number
  /** Told what happens. */
  readonly onProgress: (line: string) => void
  readonly stop: AbortSignal
}

export interface SmallHits {
  readonly statuses: Readonly<Record<string, number>>
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

export interface TortureResult {
  /** Description of how the sidecar ended by itself; undefined if it did not. */
  readonly end: string | undefined
  readonly loads: ReadonlyMap<string, LoadCounts>
  readonly smallHits: SmallHits
  readonly peakBytes: number
  readonly peaksByThird: readonly [number, number, number]
  /** Why there was no cgroup; undefined if there was one. */
  readonly withoutCgroup: string | undefined
  /** Peak of what the kernel charged to the cgroup, caches and socket buffers included. */
  readonly cgroupPeakBytes: number | undefined
  /** `memory` of the last `GET /cache/stats`. */
  readonly memory: unknown
}

const mebibyte = 1024 * 1024
const program = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
const smallHitsProgram = fileURLToPath(new URL('small-hits.ts', import.meta.url))
/** Pause in ms after the loads, in which their memory is released. */
const settleMs = 1_000

/** Starts PostgreSQL and a sidecar, runs all loads at once, and watches the sidecar. */
export async function torture(options: TortureOptions): Promise<TortureResult> {
  const { durationMs, onProgress, stop } = options
  const undo: (() => unknown)[] = []
  try {
    const { server, end: endServer } = await temporaryServer()
    undo.push(endServer)
    const databaseUrl = new URL(server.url())
    const proxy = new FaultProxy(Number(databaseUrl.port))
    databaseUrl.port = String(await proxy.listen())
    undo.push(() => proxy.close())
    const folder = await mkdtemp(join(tmpdir(), 'caching-layer-torture-'))
    undo.push(() => rm(folder, { recursive: true }))
    const configFile = join(folder, 'settings.json')
    await writeFile(configFile, '{}')
    const cgroup = MemoryCgroup.make(options.limitMebibytes * mebibyte)
    if (cgroup instanceof MemoryCgroup) undo.push(() => cgroup.remove())
    else onProgress(`no cgroup of ${options.limitMebibytes} MiB: ${cgroup}`)

    const sidecar = await startSidecar({
      databaseUrl: databaseUrl.href,
      configFile,
      heapMebibytes: options.heapMebibytes,
      procsFile: cgroup instanceof MemoryCgroup ? cgroup.procsFile : undefined,
    })
    undo.push(() => sidecar.close())
    const { port } = sidecar
    await fillTable(server.url())
    const tally = new Tally()
    const filling = new Target('small values', port, tally)
    for (const key of smallKeys) await filling.set(key, '1')
    filling.close()

    const resident = new ResidentSize(sidecar.pid)
    undo.push(() => resident.close())
    const endSmallHits = startSmallHits(port)
    const { signal: over, end: endLoads } = ending()
    const unfinished = new Set(loads.map(({ name }) => name))
    let isTimeOver = false
    const timer = setTimeout(() => {
      isTimeOver = true
      if (unfinished.size === 0) endLoads()
    }, durationMs)
    undo.push(() => clearTimeout(timer))
    for (const signal of [stop, sidecar.ended]) signal.addEventListener('abort', endLoads)
    if (stop.aborted) endLoads()
    const progress = setInterval(
      () => onProgress(`resident size ${inMebibytes(resident.peakBytes)} at most so far`),
      10_000,
    )
    undo.push(() => clearInterval(progress))
    await Promise.all(
      loads.map(async ({ name, round, pauseMs }) => {
        const target = new Target(name, port, tally)
        over.addEventListener('abort', () => target.close())
        for (let n = 0; !over.aborted && !(isTimeOver && n > 0); n++) {
          await round(target, { proxy, configFile }, n)
          unfinished.delete(name)
          if (isTimeOver && unfinished.size === 0) endLoads()
          await sleep(pauseMs, undefined, { signal: over }).catch(() => undefined)
        }
      }),
    )
    await sleep(settleMs)
    const memory = await sidecar.memory()
    return {
      end: sidecar.end(),
      loads: tally.loads,
      smallHits: await endSmallHits(),
      peakBytes: resident.peakBytes,
      peaksByThird: resident.peaksByThird(),
      withoutCgroup: cgroup instanceof MemoryCgroup ? undefined : cgroup,
      cgroupPeakBytes: cgroup instanceof MemoryCgroup ? cgroup.peakBytes() : undefined,
      memory,
    }
  } finally {
    for (const step of undo.reverse()) await step()
  }
}

/** Not AbortSignal.any: in Node 20 the signal can be collected before it fires. */
function ending(): { signal: AbortSignal; end: () => void } {
  const controller = new AbortController()
  // One for each load, and one for each of their pauses.
  setMaxListeners(0, controller.signal)
  return { signal: controller.signal, end: () => controller.abort() }
}

export function inMebibytes(bytes: number): string {
  return `${Math.round(bytes / mebibyte)} MiB`
}

interface SidecarOptions {
  readonly databaseUrl: string
  readonly configFile: string
  readonly heapMebibytes: number
  readonly procsFile: string | undefined
}

/** Starts the built sidecar with the settings of the Kubernetes manifests. */
async function startSidecar({ databaseUrl, configFile, heapMebibytes, procsFile }: SidecarOptions) {
  const { PATH, HOME, TMPDIR } = process.env
  const settings = shippedSettings()
  // The shell joins the cgroup and becomes the sidecar.
  const join = procsFile === undefined ? '' : `echo $$ > '${procsFile}' && `
  const child = spawn('sh', ['-c', `${join}exec "$@"`, 'sh', process.execPath, program, 'serve'], {
    env: {
      ...{ PATH, HOME, TMPDIR },
      ...{ HOST: '127.0.0.1', PORT: '0', OPS_PORT: '0' },
      DATABASE_URL: databaseUrl,
      CACHE_CONFIG_FILE: configFile,
      CACHE_API_TOKEN: token,
      CACHE_TTL_SECONDS: '3600',
      ...settings,
      NODE_OPTIONS: `${settings.NODE_OPTIONS ?? ''} --max-old-space-size=${heapMebibytes}`,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = new AbortController()
  let end: string | undefined
  let lastLine = ''
  const exited = new Promise<void>((resolve) => {
    child.once('close', (code, signal) => {
      end = `${signal ?? `exit code ${code}`}: ${lastLine}`
      ended.abort()
      resolve()
    })
  })
  const port = await new Promise<number>((resolve, reject) => {
    createInterface({ input: child.stderr as NonNullable<typeof child.stderr> }).on('line', (line) => {
      if (line !== '') lastLine = line
      if (line.includes('"msg":"serving"')) resolve((JSON.parse(line) as { port: number }).port)
    })
    exited.then(() => reject(new Error(`the sidecar does not serve: ${lastLine}`)))
  })
  return {
    port,
    pid: child.pid as number,
    ended: ended.signal,
    end: () => end,
    /** Resolves to the parts of the memory and their use; undefined if the sidecar does not answer. */
    memory: async (): Promise<unknown> => {
      const headers = { Authorization: `Bearer ${token}` }
      const response = await fetch(`http://127.0.0.1:${port}/cache/stats`, { headers }).catch(() => undefined)
      return ((await response?.json()) as { memory?: unknown } | undefined)?.memory
    },
    close: async () => {
      child.kill('SIGKILL')
      await exited
    },
  }
}

async function fillTable(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(
      "insert into cache_entries (key, value) select 'cold ' || n, repeat('c', 1000000) from generate_series(1, $1) n",
      [coldReads],
    )
    await client.query("insert into cache_entries (key, value) values ($1, repeat('h', 90 * 1024 * 1024))", [
      hugeKey,
    ])
  } finally {
    await client.end()
  }
}

/** Returns what ends it, and resolves to what it has seen. */
function startSmallHits(port: number): () => Promise<SmallHits> {
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', smallHitsProgram, String(port)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout?.on('data', (text) => {
    output += text
  })
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()))
  return async () => {
    child.stdin?.end()
    await exited
    return JSON.parse(output) as SmallHits
  }
}

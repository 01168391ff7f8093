import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { LocalPostgres } from '../../src/dev/local-postgres.js'

interface SharedServer {
  readonly url: string
  readonly pid: number
  /** Everything to remove with the server: the data, and the link to them if there is one. */
  readonly folders: readonly string[]
}

/** One file for each run of tap, so that two runs in one checkout do not end each other's server. */
const NOTES = fileURLToPath(new URL('../../node_modules/.cache/caching-layer-test/', import.meta.url))

/** Programs of one run, before.ts, the tests and after.ts, have the same parent: tap. */
const noteOf = (tapPid: number) => join(NOTES, `server-${tapPid}.json`)

/** The settings of every server made here. */
export const FAST_SETTINGS = {
  max_connections: '200',
  wal_level: 'logical',
  max_wal_senders: '10',
  fsync: 'off',
  shared_buffers: '64MB',
}

/** Makes a server in a temporary folder; end() crashes it and removes its data. */
export async function temporaryServer(settings: Readonly<Record<string, string>> = {}) {
  const dataDir = await mkdtemp(join(tmpdir(), 'caching-layer-test-'))
  const server = new LocalPostgres({ dataDir, settings: { ...FAST_SETTINGS, ...settings } })
  const end = async () => {
    await server.stop('immediate')
    for (const folder of [server.dataDir, dataDir]) await rm(folder, { recursive: true, force: true })
  }
  try {
    await server.start()
  } catch (error) {
    await end()
    throw error
  }
  return { server, folders: [server.dataDir, dataDir], end }
}

/** Starts the server of a run, which goes on when this process ends. */
export async function startSharedServer(tapPid: number): Promise<void> {
  const { server, folders } = await temporaryServer()
  if (!server.pid) throw new Error('the server for the tests ended at once')
  const note: SharedServer = { url: server.url(), pid: server.pid, folders }
  await mkdir(NOTES, { recursive: true })
  await writeFile(noteOf(tapPid), JSON.stringify(note))
  server.unref()
}

/** The url of a run's server, if there is one. */
export async function sharedServerUrl(tapPid: number): Promise<string | undefined> {
  if (!existsSync(noteOf(tapPid))) return undefined
  return (JSON.parse(await readFile(noteOf(tapPid), 'utf8')) as SharedServer).url
}

/** Ends the server of a run and removes its data; does nothing if there is none. */
export async function stopSharedServer(tapPid: number): Promise<void> {
  if (!existsSync(noteOf(tapPid))) return
  const note = JSON.parse(await readFile(noteOf(tapPid), 'utf8')) as SharedServer
  if (await isTheServer(note)) {
    process.kill(note.pid, 'SIGQUIT')
    const deadlineMs = performance.now() + 30_000
    while (isAlive(note.pid) && performance.now() < deadlineMs) await sleep(20)
  }
  for (const folder of note.folders) await rm(folder, { recursive: true, force: true })
  await rm(noteOf(tapPid), { force: true })
}

/** Ends the servers of runs that were killed before they could do it. */
export async function stopAbandonedServers(): Promise<void> {
  for (const name of await readdir(NOTES).catch(() => [])) {
    const tapPid = Number(/^server-(\d+)\.json$/.exec(name)?.[1])
    if (tapPid && !isAlive(tapPid)) await stopSharedServer(tapPid)
  }
}

/** The number may be another process's by now, so the server says itself whether it is the one. */
async function isTheServer({ url, pid, folders }: SharedServer): Promise<boolean> {
  if (!isAlive(pid)) return false
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query<{ data_directory: string }>('show data_directory')
    return folders.some((folder) => rows[0]?.data_directory.startsWith(folder))
  } catch {
    return false
  } finally {
    await client.end().catch(() => {})
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

import { execFile, spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rename, rm, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { LocalPostgres } from '../../src/dev/local-postgres.js'

/** Describes the server of a run. Every run of tap has its own note, so two runs in one checkout do not interfere. */
interface Note {
  readonly url: string
  readonly pid: number
}

const FOLDER = fileURLToPath(new URL('../../node_modules/.cache/caching-layer-test/', import.meta.url))
const WATCHDOG = fileURLToPath(new URL('./server-watchdog.mjs', import.meta.url))
const MEMORY_FOLDER = '/dev/shm'
const MEMORY_FOLDER_BYTES = 4 * 2 ** 30
const POLL_MS = 20

/** Settings of every server that is started here. */
export const FAST_SETTINGS = {
  max_connections: '200',
  wal_level: 'logical',
  max_wal_senders: '10',
  fsync: 'off',
  shared_buffers: '64MB',
}

/**
 * Starts a server in a temporary folder. end() crashes it and removes its data. Its cluster is a copy of the one that
 * `TEST_CLUSTER` names, if it names one: that takes a tenth of the time that initdb takes. All copies have the same
 * system identifier; `isOnlyOne` requires another.
 */
export async function temporaryServer(
  settings: Readonly<Record<string, string>> = {},
  { isOnlyOne = false } = {},
) {
  const dataDir = await mkdtemp(join(await folderOfClusters(), 'caching-layer-test-'))
  const { TEST_CLUSTER } = process.env
  // Keeps the owner of the files.
  if (TEST_CLUSTER && !isOnlyOne) await promisify(execFile)('cp', ['-a', `${TEST_CLUSTER}/.`, dataDir])
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

/**
 * Returns a folder in memory, if there is one with enough room. Every database has 300 files, and ext4 takes long to
 * create them while others were just deleted: that was an eighth of the CPU time of all tests.
 */
async function folderOfClusters(): Promise<string> {
  const found = await statfs(MEMORY_FOLDER).catch(() => undefined)
  return found && found.bavail * found.bsize >= MEMORY_FOLDER_BYTES ? MEMORY_FOLDER : tmpdir()
}

/** Makes a cluster for `TEST_CLUSTER`. end() removes it. */
export async function clusterToCopy() {
  const { server, end } = await temporaryServer({}, { isOnlyOne: true })
  await server.stop()
  await rm(join(server.dataDir, 'server.log'))
  return { folder: server.dataDir, end }
}

/**
 * Returns the url of the server that the test files of one run of tap share, and undefined in a file started by hand.
 *
 * The first file that asks starts the server, so a run of unit tests starts none. The files are processes, and several
 * may ask at once: the one that creates the claim starts the server, the others wait for its note.
 *
 *     file A                       file B                        tap ends
 *     creates the claim
 *                                  finds the claim, waits
 *     starts server and watchdog
 *     writes the note
 *                                  reads the note
 *     ends; the server goes on
 *                                  ends; the server goes on
 *                                                                the watchdog stops the server and removes its
 *                                                                data, the note and the claim
 *
 * If A dies before its note, B removes the claim and starts the server itself. Two files that do so at the same moment
 * may start two servers. That does no harm: each server has its own watchdog.
 */
export async function sharedServerUrl(): Promise<string | undefined> {
  const tapPid = process.ppid // the same for all files of the run
  const isRunByTap = process.env.TAP_CHILD_ID !== undefined
  // 1 is the parent of a file whose tap was killed: a watchdog would wait for it for ever.
  if (!isRunByTap || tapPid === 1) return undefined
  const note = join(FOLDER, `server-${tapPid}.json`)
  const claim = join(FOLDER, `claim-${tapPid}`)
  await mkdir(FOLDER, { recursive: true })
  for (;;) {
    const found = await readNote(note)
    if (found && isAlive(found.pid)) return found.url
    if (found) await rm(note, { force: true }) // left by an earlier run whose tap had the same process id
    if (await create(claim)) {
      try {
        return await startSharedServer(tapPid, note, claim)
      } catch (error) {
        await rm(claim, { force: true })
        throw error
      }
    }
    const starter = Number(await readFile(claim, 'utf8').catch(() => ''))
    if (starter > 0 && !isAlive(starter) && !(await readNote(note))) await rm(claim, { force: true })
    await sleep(POLL_MS)
  }
}

/** Starts a server that outlives this process, and the watchdog that stops it when tap has ended. */
async function startSharedServer(tapPid: number, note: string, claim: string): Promise<string> {
  const { server, folders } = await temporaryServer()
  const { pid } = server
  if (pid === undefined) throw new Error('the shared PostgreSQL server ended right after its start')
  const garbage = [...folders, note, claim]
  // Its own process group, so that a Ctrl-C in the terminal does not end it; and none of tap's NODE_OPTIONS.
  const watchdog = spawn(process.execPath, [WATCHDOG, String(tapPid), String(pid), ...garbage], {
    detached: true,
    stdio: 'ignore',
    env: { PATH: process.env.PATH, SystemRoot: process.env.SystemRoot },
  })
  watchdog.unref()
  server.unref()
  const url = server.url()
  // Under another name first, so that nobody reads half of a note.
  await writeFile(`${note}.new`, JSON.stringify({ url, pid } satisfies Note))
  await rename(`${note}.new`, note)
  return url
}

/** Creates a file that holds our process id. Returns false if it exists already. */
async function create(claim: string): Promise<boolean> {
  try {
    await writeFile(claim, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

async function readNote(note: string): Promise<Note | undefined> {
  const text = await readFile(note, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as Note)
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

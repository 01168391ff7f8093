/**
 * Stops a PostgreSQL server when another process has ended, and then removes its files. Checks both processes several
 * times a second, so it notices if the server ends on its own, before its process id can belong to another process.
 *
 *   node test/support/server-watchdog.mjs <pid to wait for> <pid of the server> <path to remove>...
 */
import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

const POLL_MS = 200
const STOP_TIMEOUT_MS = 30_000

const [waitedPid, serverPid] = process.argv.slice(2, 4).map(Number)
const paths = process.argv.slice(4)

while (isAlive(waitedPid) && isAlive(serverPid)) await sleep(POLL_MS)
if (isAlive(serverPid)) {
  process.kill(serverPid, 'SIGQUIT')
  const deadlineMs = performance.now() + STOP_TIMEOUT_MS
  while (isAlive(serverPid) && performance.now() < deadlineMs) await sleep(POLL_MS)
}
for (const path of paths) await rm(path, { recursive: true, force: true })

function isAlive(pid) {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error.code === 'EPERM'
  }
}

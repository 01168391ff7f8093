/** tap runs this once before the test files. */
import { startSharedServer, stopAbandonedServers, stopSharedServer } from './shared-server.js'

if (!process.env.TEST_DATABASE_URL) {
  await stopAbandonedServers()
  await stopSharedServer(process.ppid)
  await startSharedServer(process.ppid)
}

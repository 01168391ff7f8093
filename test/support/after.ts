/** tap runs this once after the test files, also when they failed. */
import { stopSharedServer } from './shared-server.js'

await stopSharedServer(process.ppid)

#!/usr/bin/env node
import { stopSignal } from './cli/stop-signal.js'

/** The process. Static imports are read before anything runs, so everything but the signals is imported afterwards. */
const { runProgram } = await import('./cli/program.js')
await runProgram(process.argv.slice(2), stopSignal)

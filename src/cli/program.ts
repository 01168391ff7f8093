import { errorMessage } from '../errors/error-message.js'
import './node-navigator.js'
import { ConfigError } from '../config/config-error.js'
import { parseArguments } from './arguments.js'
import { commands, type ListedCommand } from './commands.js'
import { ProgressLine } from './progress-line.js'
import { UsageError } from './usage-error.js'

/** Command line of the program. Exit codes: 0 for success, 1 for a failure, 2 for wrong usage. */

const usage = `usage: caching-layer COMMAND [OPTION...]

${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(12)}${summary}`)
  .join('\n')}

Settings come from flags, the environment and a file: caching-layer config lists them.
`

async function main([name, ...rest]: readonly string[], stop: AbortSignal): Promise<number> {
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    const stream = name === undefined ? process.stderr : process.stdout
    stream.write(usage)
    return name === undefined ? 2 : 0
  }
  const listed = new Map<string, ListedCommand>(Object.entries(commands)).get(name)
  if (listed === undefined) throw new UsageError(`there is no command "${name}"; see caching-layer --help`)
  const command = await listed.load()
  // A second signal ends the process with this code.
  failureCode = command.failureCode ?? 1
  process.exitCode = failureCode
  const given = parseArguments(name, command, rest)
  const messages = new ProgressLine(process.stderr)
  try {
    return await command.run({
      ...given,
      environment: process.env,
      stop,
      onHangup: (listener) => process.on('SIGHUP', listener),
      out: (line) => {
        messages.end()
        process.stdout.write(`${line}\n`)
      },
      isTerminal: process.stdout.isTTY === true,
      note: (line) => messages.note(line),
      progress: (line) => messages.progress(line),
      stdin: () => process.stdin,
      stdout: () => {
        // A backup that was cut off is an error.
        process.stdout.off('error', onLinesRefused)
        return process.stdout
      },
    })
  } finally {
    messages.end()
  }
}

/** Exit code of the command after an error. */
let failureCode = 1

const onLinesRefused = (error: NodeJS.ErrnoException) => {
  // A reader of the lines, such as `head`, may have read enough.
  if (error.code === 'EPIPE') process.exit()
  process.stderr.write(`caching-layer: the output cannot be written: ${error.message}\n`)
  process.exit(failureCode)
}

/** Runs the command that the arguments name, sets the exit code, and lets the process end. */
export async function runProgram(args: readonly string[], stop: AbortSignal): Promise<void> {
  process.stdout.on('error', onLinesRefused)
  try {
    process.exitCode = await main(args, stop)
  } catch (error) {
    const expected = error instanceof UsageError || error instanceof ConfigError
    const lines = error instanceof ConfigError ? error.faults : [errorMessage(error)]
    for (const line of lines) process.stderr.write(`caching-layer: ${line}\n`)
    process.exitCode = expected ? 2 : (process.exitCode ?? 1)
  }
  // Work that a command has cut off must not keep the process alive. Pending output is flushed first.
  setTimeout(() => process.stdout.write('', () => process.exit()), 100).unref()
  // A reader that takes no output must not keep it alive either.
  if (stop.aborted) setTimeout(() => process.exit(), 1_000).unref()
}

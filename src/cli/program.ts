import { errorMessage } from '../errors/error-message.js'
import './node-navigator.js'
import { ConfigError } from '../config/config-error.js'
import { didYouMean } from '../text/did-you-mean.js'
import { asksForHelp, parseArguments } from './arguments.js'
import { commands, type ListedCommand } from './commands.js'
import { commandHelp, programHelp } from './help.js'
import { ProgressLine } from './progress-line.js'
import { UsageError } from './usage-error.js'
import { version } from './version.js'

/**
 * Command line of the program. Exit codes: 0 for success, 1 for a failure, 2 for wrong usage; some commands have others
 * for a failure.
 */
async function main([first, ...others]: readonly string[], stop: AbortSignal): Promise<number> {
  if (first === '--version' || first === '-v') return print(version)
  // `help COMMAND` is `COMMAND --help`.
  const [name, ...rest] =
    first === 'help' && others[0] !== undefined ? [others[0], '--help'] : [first, ...others]
  if (name === undefined) {
    process.stderr.write(programHelp())
    return 2
  }
  if (name === 'help' || name === '--help' || name === '-h') return print(programHelp().trimEnd())
  const listed = new Map<string, ListedCommand>(Object.entries(commands)).get(name)
  if (listed === undefined) {
    const near = didYouMean(name, [...Object.keys(commands), '--version', '--help'])
    throw new UsageError(`there is no command "${name}"${near || '; see caching-layer --help'}`)
  }
  const command = await listed.load()
  if (asksForHelp(command, rest)) return print(commandHelp(name, listed, command).trimEnd())
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

function print(text: string): number {
  process.stdout.write(`${text}\n`)
  return 0
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
  // Node itself would exit with 1, which of some commands means something else.
  process.on('uncaughtException', (error) => {
    process.stderr.write(`caching-layer: ${error.stack ?? error}\n`)
    process.exit(failureCode)
  })
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

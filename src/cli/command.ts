import type { Environment } from '../config.js'

export interface CommandInput {
  /** The names of the options given. */
  readonly flags: ReadonlySet<string>
  readonly environment: Environment
  /** Aborted when the process has been told to stop. */
  readonly stop: AbortSignal
  /** One line of data on stdout, one line for people on stderr. */
  readonly out: (line: string) => void
  readonly note: (line: string) => void
}

export interface Command {
  readonly summary: string
  /** Names of the options it takes, without `--`. */
  readonly options: readonly string[]
  /** Resolves to the exit code. */
  readonly run: (input: CommandInput) => Promise<number>
}

import type { Readable, Writable } from 'node:stream'
import type { Environment } from '../config/environment.js'

export interface CommandInput {
  /** The names of the boolean options given. */
  readonly flags: ReadonlySet<string>
  /** What the string options were given, by name; the last one of several. */
  readonly values: ReadonlyMap<string, string>
  /** What stands on the command line beside the options. */
  readonly positionals: readonly string[]
  readonly environment: Environment
  /** Calls `listener` at every SIGHUP, which without one ends the process. */
  readonly onHangup?: (listener: () => void) => void
  /** Aborted when the process has been told to stop. */
  readonly stop: AbortSignal
  /** One line of data on stdout, one line for people on stderr. */
  readonly out: (line: string) => void
  readonly note: (line: string) => void
  /** True if `out` writes to a terminal. */
  readonly isTerminal?: boolean
  /** How far things are, on stderr: a line that takes the place of the one before, or one every 10 s. */
  readonly progress: (line: string) => void
  /** For data that are not lines. */
  readonly stdin: () => Readable
  readonly stdout: () => Writable
}

export interface CommandOption {
  readonly type: 'boolean' | 'string'
}

export interface Command {
  /** By name, without `--`. Any other is refused. */
  readonly options: Readonly<Record<string, CommandOption>>
  /** Whether it reads the settings: their flags are then among its options, and no other may be named like one. */
  readonly settings?: boolean
  /** Whether it takes anything beside its options; refused otherwise. */
  readonly positionals?: boolean
  /** The exit code after an error, or a second signal; 1 by default. */
  readonly failureCode?: number
  /** Resolves to the exit code. */
  readonly run: (input: CommandInput) => Promise<number>
}

import type { Readable, Writable } from 'node:stream'
import type { Environment } from '../config/environment.js'

export interface CommandInput {
  /** Names of the boolean options given. */
  readonly flags: ReadonlySet<string>
  /** Values of the string options, by name. If an option is repeated, the last value counts. */
  readonly values: ReadonlyMap<string, string>
  /** All values of the options that are lists, by name; without those that were not given. */
  readonly lists: ReadonlyMap<string, readonly string[]>
  /** Arguments that are not options. */
  readonly positionals: readonly string[]
  readonly environment: Environment
  /** Calls `listener` at every SIGHUP. Without a listener, SIGHUP ends the process. */
  readonly onHangup: (listener: () => void) => void
  /** Signal that is aborted when the process has to stop. */
  readonly stop: AbortSignal
  /** Writes a line: `out` writes data to stdout, `note` writes a message to stderr. */
  readonly out: (line: string) => void
  readonly note: (line: string) => void
  /** True if `out` writes to a terminal. */
  readonly isTerminal: boolean
  /** Shows progress on stderr: a line that replaces the one before or, without a terminal, one line every 10 s. */
  readonly progress: (line: string) => void
  /** Streams for data that does not consist of lines. */
  readonly stdin: () => Readable
  readonly stdout: () => Writable
}

/** An option as it is parsed, and as it is shown in the help of its command. */
export type CommandOption = {
  readonly about: string
  /** True if it must not be repeated: it selects something, and all but the last would be lost. */
  readonly isOnce?: boolean
} & (
  | { readonly type: 'boolean' }
  | {
      readonly type: 'string'
      /** Placeholder of the value. */
      readonly value: string
      /** True if it may be repeated, and all of its values count. */
      readonly isList?: boolean
    }
)

export interface Command {
  /** Options by name, without `--`. Any other option is refused. */
  readonly options: Readonly<Record<string, CommandOption>>
  /**
   * Set if the command reads the settings. Their flags are then among its options, and no other option may have such a
   * name. The help of the command lists them if they are `listed`.
   */
  readonly settings?: 'accepted' | 'listed'
  /** Values of settings, by variable, that the command takes instead of their usual defaults. */
  readonly defaults?: Readonly<Record<string, string>>
  /** Names of the arguments that are not options, such as `KEY`; undefined if the command accepts none. */
  readonly positionals?: string
  /** Exit code after an error or a second signal; 1 by default. */
  readonly failureCode?: number
  /** Runs the command. Resolves to the exit code. */
  readonly run: (input: CommandInput) => Promise<number>
}

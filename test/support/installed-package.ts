/** Commands as somebody runs them who installs a package: without what npm and tap add to the environment. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

export const cleanEnvironment: Readonly<Record<string, string | undefined>> = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_OPTIONS|INIT_CWD|TAP)/i.test(name)),
  ),
  npm_config_audit: 'false',
  npm_config_fund: 'false',
  npm_config_update_notifier: 'false',
}

/**
 * Runs a command to its end, and returns its standard output. Rejects if it fails, with `code`, `stdout` and `stderr`.
 *
 * `env` takes NODE_OPTIONS away again: tap adds it to the environment of whatever a test starts, and the code that is
 * loaded by it cannot load the compiler.
 */
export async function runCommand(
  command: string,
  args: readonly string[],
  { cwd, env = {} }: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): Promise<string> {
  const options = { cwd, env: { ...cleanEnvironment, ...env }, maxBuffer: 1e8 }
  return (await promisify(execFile)('env', ['-u', 'NODE_OPTIONS', command, ...args], options)).stdout
}

import { spawnSync } from 'node:child_process'
import { installed } from '../../bench/installed.js'

const program = installed('promtool')

/** Value for the option `skip` of a test: false if promtool is installed. */
export const withoutPromtool = program ? false : 'promtool is not installed (Debian: prometheus)'

/** Runs promtool to its end. Returns its output, from stdout and stderr. */
export function promtool(
  args: readonly string[],
  input = '',
): { readonly code: number | null; readonly said: string } {
  if (program === undefined) throw new Error('promtool is not installed')
  const { status, stdout, stderr } = spawnSync(program, args, { input, encoding: 'utf8', timeout: 60_000 })
  return { code: status, said: stdout + stderr }
}

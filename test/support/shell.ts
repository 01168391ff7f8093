import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { inheritedVariables } from './child-process.js'
import type { Owner } from './database.js'

const program = fileURLToPath(new URL('../../dist/main.js', import.meta.url))

export interface Said {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a script in which `caching-layer` is the command. A pipeline fails if any part of it fails. */
export function shell(
  t: Owner,
  script: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<Said> {
  const child = spawn(
    'bash',
    ['-c', `set -o pipefail; caching-layer() { '${process.execPath}' '${program}' "$@"; }; ${script}`],
    { env: { ...inheritedVariables(), ...environment }, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  t.teardown(() => child.kill('SIGKILL'))
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text) => {
      said[name] += text
    })
  return new Promise((resolve, reject) => {
    child.once('error', reject).once('close', (code) => resolve({ code, ...said }))
  })
}

import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'

/** Runs that go on at once: more than there are cores, because a mistake often shows in a wait that fails. */
export const jobs = 2 * availableParallelism()

/** Arguments of Node for a test file, as `tap` has them in package.json. */
export const ofTests = ['--import=./test/support/without-async-hooks.mjs']

const running = new Set()

/**
 * Runs a compiled test file. Resolves with undefined if it passes. If it fails, resolves with its output and with
 * `test`, the title of the first top-level test that failed, if any.
 *
 * @param {string} folder as `compileProject` makes it
 * @param {string} file path in it
 * @param {object} options
 * @param {readonly string[]} [options.nodeArgs] arguments before the file
 * @param {readonly string[]} [options.args] arguments after it
 * @param {NodeJS.ProcessEnv} options.env what the environment has besides that of this process
 * @param {boolean} options.untilFirstFailure ends the process when a test fails, instead of running the rest
 * @param {number} options.timeoutMs
 * @returns {Promise<{ file: string, output: string, test: string | undefined, isTimeout: boolean } | undefined>}
 */
export function failureOf(folder, file, { env, untilFirstFailure, timeoutMs, nodeArgs = [], args = [] }) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...nodeArgs, file, ...args], {
      cwd: folder,
      env: { ...process.env, TAP_BAIL: '0', TAP_DIAG: '0', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // a process group, so that what the test has started ends with it
    })
    running.add(child)
    let output = ''
    let isTimeout = false
    const timer = setTimeout(() => {
      isTimeout = true
      endGroup(child)
    }, timeoutMs)
    const onOutput = (chunk) => {
      output += chunk
      if (untilFirstFailure && /^not ok /m.test(chunk) && firstFailure(output)) endGroup(child)
    }
    child.stdout.on('data', onOutput)
    child.stderr.on('data', onOutput)
    child.on('error', reject)
    child.on('exit', () => endGroup(child))
    child.on('close', (code) => {
      clearTimeout(timer)
      running.delete(child)
      resolve(code === 0 ? undefined : { file, output, test: firstFailure(output), isTimeout })
    })
  })
}

/** Ends the runs that are under way. */
export function endRuns() {
  for (const child of running) endGroup(child)
}

function endGroup({ pid }) {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

/** Returns the title of the first top-level test that failed in a TAP report. */
function firstFailure(output) {
  const name = output.match(/^not ok \d+ - (.*)\n/m)?.[1]?.replace(/ # time=.*$/, '')
  return name?.replaceAll('\\', '')
}

import { execFileSync } from 'node:child_process'
import { project } from './work-folder.mjs'

/** Each commit tries one of so many shares: all mutants take as long as half of the tests. */
export const shares = 8

/** Returns the number of the share of the commit that is checked out, from 1. Of a folder without git, it is 1. */
export function shareOfCommit() {
  try {
    const commit = execFileSync('git', ['rev-parse', 'HEAD'], {
      cwd: project,
      encoding: 'utf8',
      stdio: 'pipe',
    })
    return 1 + (Number.parseInt(commit.slice(0, 8), 16) % shares)
  } catch {
    return 1
  }
}

/** Returns the trials of a share: every eighth, so that each share has some of every file. */
export function inShare(trials, share) {
  return trials.filter((_trial, index) => index % shares === share - 1)
}

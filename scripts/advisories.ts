/**
 * `npm run advisories`: exits with 1 if an advisory is known against a package that the program needs. The last line
 * says how many there are, or that the registry could not be asked: a build must not depend on the registry.
 */
import { spawnSync } from 'node:child_process'
import { advisoriesIn } from '../test/deploy/supply-chain/advisories.js'

const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], {
  encoding: 'utf8',
  shell: process.platform === 'win32',
})
const advisories = advisoriesIn(stdout ?? '')
if (advisories.known) {
  for (const line of advisories.lines) console.log(line)
  console.log(`advisories: ${advisories.lines.length} against the packages that the program needs`)
  process.exitCode = advisories.lines.length > 0 ? 1 : 0
} else console.log(`advisories: NOT CHECKED, the registry could not be asked: ${advisories.reason}`)

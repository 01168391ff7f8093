/** `npm run advisories`: exits with 1 if an advisory is known against a package that the program needs. */
import { spawnSync } from 'node:child_process'
import { advisoriesIn } from '../test/deploy/supply-chain/advisories.js'

const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], { encoding: 'utf8' })
const advisories = advisoriesIn(stdout)
if (!advisories.known) {
  // A build must not depend on the registry.
  console.error(`cannot get advisories: ${advisories.reason}`)
} else {
  for (const line of advisories.lines) console.log(line)
  console.error(`${advisories.lines.length} advisories`)
  process.exitCode = advisories.lines.length > 0 ? 1 : 0
}

/** Changes and stages the other files that name the version. `npm version` runs it after changing package.json. */
import { spawnSync } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  datedChangelog,
  withImageTag,
  withLockedVersion,
  withPackageName,
  withVersion,
} from './release-texts.js'

const { version } = JSON.parse(await readFile('package.json', 'utf8'))
const texts = new Map([
  [
    'CHANGELOG.md',
    datedChangelog(await readFile('CHANGELOG.md', 'utf8'), version, new Date().toISOString().slice(0, 10)),
  ],
])
for (const name of await readdir('k8s', { recursive: true })) {
  if (!name.endsWith('kustomization.yaml')) continue
  const file = join('k8s', name)
  texts.set(file, withImageTag(await readFile(file, 'utf8'), version))
}
const commands = 'docs/reference/commands.md'
texts.set(commands, withPackageName(await readFile(commands, 'utf8'), version))
const client = 'clients/node/package.json'
texts.set(client, withVersion(await readFile(client, 'utf8'), version))
const lock = 'package-lock.json'
texts.set(lock, withLockedVersion(await readFile(lock, 'utf8'), 'clients/node', version))
for (const [file, text] of texts) await writeFile(file, text)
const { status } = spawnSync('git', ['add', ...texts.keys()], { stdio: 'inherit' })
process.exitCode = status ?? 1

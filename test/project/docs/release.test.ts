import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import {
  datedChangelog,
  imageVersions,
  newestRelease,
  withImageTag,
  withLockedVersion,
  withPackageName,
  withVersion,
} from '../../../scripts/release-texts.js'

const changelog = readFileSync('CHANGELOG.md', 'utf8')
const kustomizations = readdirSync('k8s', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('kustomization.yaml'))
  .map((name) => readFileSync(`k8s/${name}`, 'utf8'))

t.test('the version is the same everywhere', async (t) => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'))
  t.same([lock.version, lock.packages[''].version], [version, version], 'package-lock.json')
  const client = JSON.parse(readFileSync('clients/node/package.json', 'utf8'))
  t.same([client.version, lock.packages['clients/node'].version], [version, version], 'the client')
  t.equal(newestRelease(changelog), version, 'the newest release in CHANGELOG.md')
  const tags = kustomizations.flatMap(imageVersions)
  t.ok(tags.length > 0)
  t.same([...new Set(tags)], [version], 'the tags of the image in k8s/')
})

t.test('a release dates its heading in the changelog', async (t) => {
  const before = '# Changelog\n\n## Unreleased\n\n- New.\n\n## 0.1.1 - 2026-11-28\n'
  t.equal(newestRelease(before), '0.1.1')
  const after = datedChangelog(before, '0.2.0', '2026-12-24')
  t.equal(after, before.replace('Unreleased', 'Unreleased\n\n## 0.2.0 - 2026-12-24'))
  t.equal(newestRelease(after), '0.2.0')
})

t.test('a release that the changelog does not announce, or has released, is refused', async (t) => {
  const dated = (text: string) => () => datedChangelog(text, '0.2.0', '2026-12-25')
  const message = 'CHANGELOG.md: expected one heading "## Unreleased"'
  t.throws(dated('\n## 0.2.0 - 2026-12-24\n'), { message })
  t.throws(dated('\n## Unreleased\n\n## Unreleased\n'), { message })
  const released = '\n## Unreleased\n\n## 0.2.0 - 2026-12-24\n'
  t.throws(dated(released), { message: 'CHANGELOG.md: 0.2.0 is released already' })
})

t.test('the changelog has a section for what is not released', async (t) => {
  t.equal(changelog.split('\n## Unreleased\n').length, 2)
})

t.test('a release changes the name of the packed file, which the commands of the docs use', async (t) => {
  const page = readFileSync('docs/reference/commands.md', 'utf8')
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  t.equal(withPackageName(page, version), page)
  const renamed = withPackageName(page, '9.8.7-rc.1')
  t.match(renamed, 'npm install --global ./caching-layer-9.8.7-rc.1.tgz')
  t.notMatch(renamed, `caching-layer-${version}.tgz`)
})

t.test('a release changes the version of the client, and of nothing else', async (t) => {
  const manifest = readFileSync('clients/node/package.json', 'utf8')
  const { version, ...others } = JSON.parse(manifest)
  t.same(JSON.parse(withVersion(manifest, '9.8.7')), { ...others, version: '9.8.7' })
  const lock = readFileSync('package-lock.json', 'utf8')
  const changed = withLockedVersion(lock, 'clients/node', '9.8.7')
  t.equal(JSON.parse(changed).packages['clients/node'].version, '9.8.7')
  t.equal(withLockedVersion(changed, 'clients/node', version), lock)
})

t.test('a release changes the tags that are versions, and no others', async (t) => {
  const before =
    'images:\n  - name: a\n    newTag: 0.1.1\n  - name: b\n    newTag: dev\n  - name: c\n    newTag: "0.1.1-rc.1"\n'
  const after = withImageTag(before, '0.2.0')
  t.same(imageVersions(after), ['0.2.0', '0.2.0'])
  t.match(after, 'newTag: dev')
})

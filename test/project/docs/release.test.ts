import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { datedChangelog, imageVersions, newestRelease, withImageTag } from '../../../scripts/release-texts.js'

const changelog = readFileSync('CHANGELOG.md', 'utf8')
const kustomizations = readdirSync('k8s', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('kustomization.yaml'))
  .map((name) => readFileSync(`k8s/${name}`, 'utf8'))

t.test('the version is the same everywhere', async (t) => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'))
  t.same([lock.version, lock.packages[''].version], [version, version], 'package-lock.json')
  t.equal(newestRelease(changelog), version, 'the newest release in CHANGELOG.md')
  const tags = kustomizations.flatMap(imageVersions)
  t.ok(tags.length > 0)
  t.same([...new Set(tags)], [version], 'the tags of the image in k8s/')
})

t.test('a release dates its heading in the changelog', async (t) => {
  const before = '# Changelog\n\n## 0.2.0 - unreleased\n\n- New.\n\n## 0.1.1 - 2026-11-28\n'
  t.equal(newestRelease(before), '0.1.1')
  const after = datedChangelog(before, '0.2.0', '2026-12-24')
  t.equal(after, before.replace('unreleased', '2026-12-24'))
  t.equal(newestRelease(after), '0.2.0')
})

t.test('a release that the changelog does not announce, or has released, is refused', async (t) => {
  const message = 'CHANGELOG.md: expected one heading "## 0.2.0 - unreleased"'
  for (const heading of ['## 0.3.0 - unreleased', '## 0.2.0 - 2026-12-24', '## 0.2.0-rc.1 - unreleased'])
    t.throws(() => datedChangelog(`\n${heading}\n`, '0.2.0', '2026-12-25'), { message })
})

t.test('a release changes the tags that are versions, and no others', async (t) => {
  const before =
    'images:\n  - name: a\n    newTag: 0.1.1\n  - name: b\n    newTag: dev\n  - name: c\n    newTag: "0.1.1-rc.1"\n'
  const after = withImageTag(before, '0.2.0')
  t.same(imageVersions(after), ['0.2.0', '0.2.0'])
  t.match(after, 'newTag: dev')
})

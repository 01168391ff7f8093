import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { hasKubectl, type Manifest, parseManifests, render, sourceManifests } from './manifests.js'
import { type Check, classicMistakes, mistakes, plant } from './mistakes.js'
import { modelErrors } from './models.js'
import { brokenRules } from './rules.js'
import { typeErrors } from './typed-literals.js'

const folders = (
  await Promise.all(
    ['k8s/overlays', 'k8s/examples'].map(async (folder) =>
      (await readdir(folder)).sort().map((name) => join(folder, name)),
    ),
  )
).flat()
const skip = (await hasKubectl())
  ? false
  : 'kubectl is not installed: the manifests are checked, and not what they render'

const sources = await sourceManifests('k8s')
const rendered = new Map<string, readonly Manifest[]>(
  skip ? [] : await Promise.all(folders.map(async (folder) => [folder, await render(folder)] as const)),
)
const planted = [...rendered].flatMap(([folder, manifests]) => {
  const plantedHere = { 'k8s/overlays/prod': mistakes, 'k8s/examples/classic': classicMistakes }[folder] ?? []
  return plantedHere.map((mistake) => ({ mistake, ...plant(mistake, manifests) }))
})

const typed = await typeErrors([
  ...sources,
  ...[...rendered.values()].flat(),
  ...planted.map(({ planted }) => planted),
])

function errorsOf(manifest: Manifest): readonly string[] {
  return [...modelErrors(manifest), ...(typed.get(manifest) ?? [])]
}

t.test('every manifest is what its kind may be', async (t) => {
  t.ok(sources.length >= folders.length, 'there is something to look at')
  for (const manifest of sources) t.same(errorsOf(manifest), [], manifest.where)
})

for (const folder of folders) {
  t.test(`what ${folder} renders is valid, restricted, and adds up`, { skip }, async (t) => {
    const manifests = rendered.get(folder) ?? []
    t.ok(manifests.length > 1)
    for (const manifest of manifests) t.same(errorsOf(manifest), [], manifest.where)
    t.same(brokenRules(manifests.map(({ resource }) => resource)), [])
  })
}

t.test('a mistake is found, by exactly these checks', { skip }, async (t) => {
  t.equal(planted.length, mistakes.length + classicMistakes.length)
  for (const { mistake, planted: manifest, all } of planted) {
    const findings: Readonly<Record<Check, readonly string[]>> = {
      model: modelErrors(manifest),
      types: typed.get(manifest) ?? [],
      rules: brokenRules(all.map(({ resource }) => resource)),
    }
    const checks = (['model', 'types', 'rules'] as const).filter((check) => findings[check].length > 0)
    t.same(checks, mistake.foundBy, `${mistake.name}: ${Object.values(findings).flat()[0]}`)
  }
})

t.test('a key that is there twice is found', async (t) => {
  t.throws(() => parseManifests('a.yaml', 'kind: Pod\nkind: Pod\n'), /keys must be unique/)
})

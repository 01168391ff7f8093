const unreleased = '\n## Unreleased\n'

/**
 * Returns the changelog with the release and its date as heading of what was unreleased, below a new section for what
 * comes next. Throws an Error if there is no such section, or the release has one already.
 */
export function datedChangelog(changelog: string, version: string, date: string): string {
  if (changelog.split(unreleased).length !== 2)
    throw new Error('CHANGELOG.md: expected one heading "## Unreleased"')
  if (changelog.includes(`\n## ${version} - `))
    throw new Error(`CHANGELOG.md: ${version} is released already`)
  return changelog.replace(unreleased, `${unreleased}\n## ${version} - ${date}\n`)
}

/** Returns a page with the name of the packed file of the release. */
export function withPackageName(page: string, version: string): string {
  return page.replaceAll(/\bcaching-layer-\d+\.\d+\.\d+[\w.+-]*\.tgz\b/g, `caching-layer-${version}.tgz`)
}

/** Returns a package.json with the version of the release. */
export function withVersion(manifest: string, version: string): string {
  return manifest.replace(/("version": ")[^"]*/, `$1${version}`)
}

/** Returns a package-lock.json with the version of the release for the package in a folder of the project. */
export function withLockedVersion(lock: string, folder: string, version: string): string {
  const start = lock.indexOf(`    "${folder}": {`)
  return lock.slice(0, start) + withVersion(lock.slice(start), version)
}

/** A kustomization with the image of the release. Other tags, such as `dev`, stay. */
export function withImageTag(kustomization: string, version: string): string {
  return kustomization.replaceAll(/^(\s*newTag: )["']?\d+\.\d+\.\d+[\w.+-]*["']?$/gm, `$1${version}`)
}

/** Returns the tags of images in a kustomization that are versions. */
export function imageVersions(kustomization: string): string[] {
  return [...kustomization.matchAll(/^\s*newTag: ["']?(\d+\.\d+\.\d+[\w.+-]*)["']?$/gm)].map(
    ([, version = '']) => version,
  )
}

/** Returns the newest version in the changelog that has a date. */
export function newestRelease(changelog: string): string | undefined {
  return /^## (\S+) - \d{4}-\d\d-\d\d$/m.exec(changelog)?.[1]
}

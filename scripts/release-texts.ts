/** Returns the changelog with `date` in the heading of the release. Throws an Error if no undated heading is there. */
export function datedChangelog(changelog: string, version: string, date: string): string {
  const undated = `\n## ${version} - unreleased\n`
  if (changelog.split(undated).length !== 2)
    throw new Error(`CHANGELOG.md: expected one heading "## ${version} - unreleased"`)
  return changelog.replace(undated, `\n## ${version} - ${date}\n`)
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

/** `npm run image:tree`: lists what the image adds to its base, with sizes. `--all` lists every file. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildImageTree, filesOf } from '../test/deploy/image/tree.js'

const folder = await mkdtemp(join(tmpdir(), 'caching-layer-image-'))
try {
  const { root } = await buildImageTree(process.cwd(), folder)
  const files = await filesOf(root)
  const rows = new Map<string, { files: number; bytes: number }>()
  const add = (name: string, bytes: number) => {
    const row = rows.get(name) ?? { files: 0, bytes: 0 }
    rows.set(name, { files: row.files + 1, bytes: row.bytes + bytes })
  }
  for (const { path, bytes } of files) {
    add(process.argv.includes('--all') ? path : groupOf(path), bytes)
    add('total', bytes)
  }
  const largestFirst = [...rows].sort(([, a], [, b]) => a.bytes - b.bytes).reverse()
  for (const [name, row] of largestFirst) {
    console.log(`${String(row.bytes).padStart(10)} bytes ${String(row.files).padStart(5)} files  ${name}`)
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}

/** A package, or a folder of ours. */
function groupOf(path: string): string {
  const [, group] = /^(app\/node_modules\/(?:@[^/]+\/)?[^/]+|app\/[^/]+)/.exec(path) ?? []
  return group ?? path
}

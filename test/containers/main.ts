/**
 * Builds the image, and runs it, the compose file and the pods with podman: `npm run test:containers`.
 *
 * Checks that this machine cannot run, because a program or a feature of the kernel is missing, do not fail. They are
 * counted and printed last.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { temporaryServer } from '../support/shared-server.js'
import { CannotRun, CheckList } from './check-list.js'
import { checkCompose } from './checks/compose-checks.js'
import { expectNone } from './checks/expectations.js'
import { imageFaults } from './checks/image-faults.js'
import { checkPlantedFaults } from './checks/planted-faults.js'
import { checkClassicPod, renderAll } from './checks/pod-checks.js'
import { checkSidecars } from './checks/sidecar-checks.js'
import { Features } from './podman/features.js'
import { isOfMachine, npmVolumes } from './podman/npm-access.js'
import { Podman } from './podman/podman.js'
import { buildNodeImage } from './stand-ins/node-image.js'
import { buildPostgresImage } from './stand-ins/postgres-image.js'

const nodeImage = 'docker.io/library/node:26-slim'
const postgresImage = 'docker.io/library/postgres:18'
/** Name of the image in docker-compose.yml. */
const image = 'localhost/caching-layer'

const buildTimeoutMs = 600_000

async function main(): Promise<number> {
  const missing = await whatIsMissing()
  if (missing !== undefined) {
    console.log(`test:containers: not run: ${missing}`)
    return 0
  }
  const podman = await Podman.create()
  const ends: End[] = [() => podman.end()]
  const endAll = () => Promise.allSettled(ends.map((end) => end()))
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => endAll().then(() => process.exit(1)))
  try {
    return await runChecks(podman, new CheckList({ limitMs: 10 * 60_000, print: console.log }), ends)
  } finally {
    await endAll()
  }
}

/** Ends what was started, however often it is called. */
type End = () => Promise<void>

/** Runs all checks. Returns the exit code. What they start is added to `ends`. */
async function runChecks(podman: Podman, checks: CheckList, ends: End[]): Promise<number> {
  const features = new Features(podman, nodeImage)
  const rendered = await renderAll(checks, podman)
  const isBuilt =
    (await checks.check('stand-ins for the base images can be built', () => buildStandIns(podman))) &&
    (await checks.check('the Dockerfile can be built', () => buildImage(podman)))
  if (!isBuilt) checks.runNoMore('there is no image')
  await checks.check('the image has what runs, and names its user and its licence', async () =>
    expectNone(await imageFaults(podman, image)),
  )
  const { server, end } = await temporaryServer()
  ends.push(end)
  const databaseUrl = server.url()
  await checkSidecars(checks, { podman, features, image, databaseUrl })
  const project = await checkCompose(checks, { podman, features })
  const url = 'postgresql://cache_user:cache_pass@postgres:5432/cache_db'
  const database = project && { network: project.network, url }
  await checkClassicPod(checks, { podman, features, image, database, rendered })
  // Last, because they are left out if the time is over.
  await checkPlantedFaults(checks, { podman, features, image, nodeImage, databaseUrl })
  return checks.end()
}

async function whatIsMissing(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'it needs Linux'
  if (process.getuid?.() !== 0) return 'it needs root'
  for (const program of ['podman', 'runc', 'busybox']) {
    const isInstalled = await promisify(execFile)('sh', ['-c', `command -v ${program}`]).then(
      () => true,
      () => false,
    )
    if (!isInstalled) return `${program} is not installed (Debian: podman runc busybox-static)`
  }
  return undefined
}

async function buildStandIns(podman: Podman): Promise<void> {
  try {
    await buildNodeImage(podman, nodeImage)
    await buildPostgresImage(podman, postgresImage, nodeImage)
  } catch (error) {
    // They are not the project's: that they cannot be built says nothing about it.
    throw new CannotRun((error as Error).message, { cause: error })
  }
}

async function buildImage(podman: Podman): Promise<void> {
  const options = ['--isolation=chroot', '--format', 'docker', '--tag', image]
  const args = ['build', ...options, ...(await npmVolumes(podman.folder)), process.cwd()]
  const { code, stdout, stderr } = await podman.run(args, { timeoutMs: buildTimeoutMs })
  if (code === 0) return
  const output = `${stdout}${stderr}`
  // The step that failed is at the end.
  if (isOfMachine(output.slice(-2_000))) throw new CannotRun(`the build: ${output.trim().split('\n').at(-1)}`)
  throw new Error(`podman build: exit code ${code}\n${output}`)
}

process.exitCode = await main()

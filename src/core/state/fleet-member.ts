import type { Readiness } from './readiness.js'

/** State of a sidecar, as it announces it to the fleet. */
export interface MemberState {
  readonly version: string
  /** Name of the machine; in Kubernetes, that of the pod. */
  readonly host: string
  /** IP address of the operations listener, as other machines see it; null if it is only on loopback. */
  readonly address: string | null
  /** Port of the page; null if there is none. */
  readonly pagePort: number | null
  readonly upMs: number
  readonly status: Readiness['status']
  /** Age of the last proof that entries are fresh; null before the first. */
  readonly lagMs: number | null
  /** Share of hits among the reads since the state was announced before; null without reads. */
  readonly hitRatio: number | null
  readonly readsPerSecond: number
  readonly entries: number
}

/** A sidecar of the fleet, as it was last seen. */
export interface FleetMember extends Omit<MemberState, 'status'> {
  /** Identifies the process. */
  readonly sidecar: string
  /** `silent`: it should have been seen again by now. */
  readonly status: Readiness['status'] | 'silent'
  readonly seenMsAgo: number
  /** True for the sidecar that tells of the fleet. */
  readonly isSelf: boolean
}

/** The fleet, as one of its sidecars knows it. */
export interface Fleet {
  readonly members: readonly FleetMember[]
  /**
   * Reason why the list may be outdated: it is turned off, this sidecar is idle and leaves the database alone, or the
   * list could not be read. Undefined if it is up to date.
   */
  readonly obstacle: 'off' | 'idle' | 'failed' | undefined
}

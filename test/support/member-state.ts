import type { MemberState } from '../../src/core/state/fleet-member.js'

/** A sidecar's report of itself to the fleet. */
export const memberState: MemberState = {
  version: '1.2.3',
  host: 'pod-a',
  address: '10.1.2.3',
  pagePort: 9025,
  upMs: 90_000,
  status: 'ready',
  lagMs: 12,
  hitRatio: 0.75,
  readsPerSecond: 8,
  entries: 42,
}

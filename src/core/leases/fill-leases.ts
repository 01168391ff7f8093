/** The right to compute the value of a key, which one caller in the fleet has at a time (P15). */
export interface WantedLease {
  readonly key: string
  /** Names of the groups that the value will belong to. Invalidating one of them revokes the lease. */
  readonly groups: readonly string[]
  /** Time after which the lease ends by itself. */
  readonly durationMs: number
}

export type LeaseAnswer =
  | { readonly kind: 'granted'; readonly lease: string }
  /** Another caller has the lease, for this time at most. */
  | { readonly kind: 'taken'; readonly remainingMs: number }
  /**
   * A transaction that invalidates the key or one of the groups has not ended, or another caller is getting a lease for
   * one of them at this moment.
   */
  | { readonly kind: 'blocked' }

/** The leases in the store. All methods reject with a CacheError. */
export interface FillLeases {
  acquire(wanted: WantedLease): Promise<LeaseAnswer>
  /** Ends a lease, if it has not ended. */
  release(key: string, lease: string): Promise<void>
  /** Ends a lease, if it has not ended, and announces that, so that those who wait at any sidecar ask for the next one. */
  giveBack(key: string, lease: string): Promise<void>
}

/** Reason why a value that was sent with a lease was not stored. */
export type FillRefusal =
  /** The lease has ended, was revoked, or was never given. */
  | 'no-lease'
  /** Another client has stored an entry. */
  | 'present'
  /** The value belongs to a group that the lease does not name, so the lease could not be revoked by it. */
  | 'other-groups'

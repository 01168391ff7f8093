/** Mistakes in the near cache of the client (P19), and in the computations of its calls (P15). */

const near = 'clients/node/src/near/near-cache.ts'
const follow = 'clients/node/src/changes/follow-changes.ts'
const writes = 'clients/node/src/entries/writes.ts'
const inNear = { caughtBy: 'client/near-cache', file: near }
const inBoth = { ...inNear, alsoCaughtBy: 'followers' }

export const nearMutants = [
  {
    name: 'near: a proof counts from the time at which it is received',
    ...inBoth,
    find: 'const writtenMs = askedMs + elapsedMs',
    replace: 'const writtenMs = Math.max(this.#clock.now(), askedMs + elapsedMs)',
  },
  {
    name: 'near: an answer is put without its token',
    ...inBoth,
    find: '!flights.mayPut(flight, entry.version, now)',
    replace: '!flights.unbroken(flight, now)',
  },
  {
    name: 'near: an answer is put across feeds',
    ...inNear,
    find: 'feed?.name === session.feed',
    replace: 'feed !== undefined',
  },
  {
    name: 'near: a read is put in a later session',
    ...inBoth,
    find: 'session !== undefined && session === this.#session && ',
    replace: 'session !== undefined && ',
  },
  {
    name: 'near: what is held stays after a gap',
    ...inBoth,
    find: '  gap(feed: string): void {\n    this.#entries.clear()\n    this.#absences.clear()\n',
    replace: '  gap(feed: string): void {\n',
  },
  {
    name: 'near: a stream continues although it may have missed changes',
    ...inNear,
    find: 'if (isContinued && session?.feed === feed)',
    replace: 'if ((isContinued || feed) && session?.feed === feed)',
  },
  {
    name: 'near: a bound key goes by the lease of other keys',
    ...inNear,
    find: ' || (entry.viaOutbox && !lease.outboxHolds(nowMs))',
    replace: '',
  },
  {
    name: 'near: the absence of a bound key goes by the lease of other keys',
    ...inNear,
    find: 'absence === undefined || (absence.viaOutbox && !lease.outboxHolds(nowMs))',
    replace: 'absence === undefined',
  },
  {
    name: 'near: the absence of a bound key outlives the time of its query',
    ...inNear,
    find: '{ viaOutbox, remainingMs })\n    } else',
    replace: '{ viaOutbox })\n    } else',
  },
  {
    name: 'near: a proof from the future counts',
    ...inNear,
    find: 'if (writtenMs > this.#clock.now()) return false',
    replace: 'if (writtenMs > 2 * this.#clock.now()) return false',
  },
  {
    name: 'near: a write of this client leaves what is held',
    ...inNear,
    find: '    this.#session?.flights.changed(id, version)\n    this.#drop(id)\n',
    replace: '    this.#session?.flights.changed(id, version)\n',
  },
  {
    name: 'near: a write of this client leaves reads under way',
    ...inNear,
    find: '    this.#session?.flights.changed(id, version)\n    this.#drop(id)\n',
    replace: '    void version\n    this.#drop(id)\n',
  },
  {
    name: 'near: an answer is put after the stream has ended',
    ...inNear,
    find: '  lost(): void {\n    this.#session?.lease.lost()\n',
    replace: '  lost(): void {\n',
  },
  {
    name: 'client: a stream is never continued',
    caughtBy: 'integration/client/watch',
    tests: 'a watch continues after a cut',
    file: follow,
    find: 'lastEventId = parser.lastEventId ?? lastEventId',
    replace: 'lastEventId ??= undefined',
  },
  {
    name: 'client: a call joins what began before a write',
    caughtBy: 'integration/client/get-or-compute',
    tests: 'a call does not join',
    file: writes,
    find: '      onWritten(key)\n',
    replace: '      void onWritten\n',
  },
  {
    name: 'client: a lease is kept when there is nothing to store',
    caughtBy: 'integration/client/get-or-compute',
    tests: 'where there is nothing to store',
    file: 'clients/node/src/computing/computations.ts',
    find: 'if (lease !== undefined && !isStorable(value))',
    replace: "if (lease === '' && !isStorable(value))",
  },
  {
    name: 'client: a sidecar that answers checks counts as silent',
    caughtBy: 'integration/client/silent-sidecar',
    tests: 'a sidecar that lets a call wait',
    file: 'clients/node/src/computing/sidecar-liveness.ts',
    find: '    this.#breaker.reached()\n    return true\n',
    replace: '    return false\n',
  },
  {
    name: 'client: a write is sent again',
    caughtBy: 'integration/client/failures',
    tests: 'a read whose connection is lost',
    file: 'clients/node/src/http/transport.ts',
    find: 'if (isRead) return failure(kind, detail, cause)',
    replace: 'if (isRead || isUnderWay) return failure(kind, detail, cause)',
  },
]

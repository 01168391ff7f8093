/** Mistakes with clients that follow the changes (P19). */

const following = 'src/core/changes/following.ts'
const log = 'src/core/changes/change-log.ts'
const feed = 'src/core/feed/feed-follower.ts'
const stream = 'src/http/routes/changes/change-stream.ts'
const streams = 'src/http/routes/changes/change-streams.ts'
const texts = 'src/http/routes/changes/event-texts.ts'
const inCore = { caughtBy: 'changes/following' }
const inStreams = { caughtBy: 'integration/changes/streams' }
const inProofs = { caughtBy: 'integration/changes/proofs' }

export const followerMutants = [
  {
    name: 'followers: an answer that is not held can be kept',
    ...inCore,
    file: following,
    find: 'read.stored === true',
    replace: 'true',
  },
  {
    name: 'followers: a stale value can be kept',
    ...inCore,
    file: following,
    find: 'read.stale === undefined :',
    replace: 'true :',
  },
  {
    name: 'followers: a comparison ends without a gap',
    ...inCore,
    file: 'src/core/feed/revalidation.ts',
    find: '    changeLog.gap()\n',
    replace: '    void changeLog\n',
  },
  {
    name: 'followers: a jump of the clock is no gap',
    ...inCore,
    file: feed,
    find: 'if (state.databaseClockSeen(proof.databaseMs, asOfMs, nowMs)) changeLog.gap()',
    replace: 'if (state.databaseClockSeen(proof.databaseMs, asOfMs, nowMs)) void changeLog',
  },
  {
    name: 'followers: a table that was rewritten is no gap',
    ...inStreams,
    tests: 'a client that may have missed changes',
    file: feed,
    find: '    lease.stopFlights()\n    changeLog.gap()\n',
    replace: '    lease.stopFlights()\n    void changeLog\n',
  },
  {
    name: 'followers: other bindings are no gap',
    ...inStreams,
    tests: 'a client that may have missed changes',
    file: feed,
    find: '    state.dropCovered(changed)\n    changeLog.gap()\n',
    replace: '    state.dropCovered(changed)\n    void changeLog\n',
  },
  {
    name: 'followers: a stream continues after a gap',
    caughtBy: 'changes/change-log',
    file: log,
    find: 'this.#forgotten = ++this.#last',
    replace: '++this.#last',
  },
  {
    name: 'followers: a stream continues with the number of another process',
    ...inStreams,
    tests: 'a client that may have missed changes',
    file: texts,
    find: 'name === this.process && ',
    replace: 'name !== undefined && ',
  },
  {
    name: 'followers: a proof comes before the changes',
    ...inProofs,
    tests: 'a question is answered on the stream',
    file: stream,
    find: '    this.#owed = this.#question\n    this.advance()\n',
    replace:
      '    this.#response.write(this.#options.proofText(this.#question))\n    this.#owed = this.#question\n    this.advance()\n',
  },
  {
    name: 'followers: a proof counts to the moment at which it is sent',
    ...inProofs,
    tests: 'while the database is away',
    file: streams,
    find: 'age_ms: wholeMs(ageMs)',
    replace: 'age_ms: 0 * ageMs',
  },
  {
    name: 'followers: the time since the question stands still',
    ...inProofs,
    tests: 'a question is answered on the stream',
    file: streams,
    find: 'Math.floor(clock.now() - askedMs)',
    replace: '0 * (clock.now() - askedMs)',
  },
  {
    name: 'followers: a client that is too slow is never cut off',
    ...inStreams,
    tests: 'a slow client',
    file: stream,
    find: '!log.has(this.#written)',
    replace: 'false',
  },
  {
    name: 'followers: a prefix leaves out keys that are too long to name',
    ...inStreams,
    tests: 'a stream for a prefix',
    file: texts,
    find: 'id.startsWith(prefix) || isHashed(id)',
    replace: 'id.startsWith(prefix)',
  },
  {
    name: 'followers: the feed rests while somebody follows it',
    ...inProofs,
    tests: 'while a client follows',
    file: following,
    find: 'idleness.beginLasting(clock.now())',
    replace: 'void idleness, clock.now()',
  },
  {
    name: 'followers: a bound key goes by the lease of other keys',
    ...inProofs,
    tests: 'a response names the feed',
    file: following,
    find: 'this.#parts.bindings.of(key)?.viaOutbox ?? false',
    replace: "this.#parts.bindings.of(key) === undefined && key === ''",
  },
  {
    name: 'followers: a read does not wait for a change',
    ...inProofs,
    tests: 'a read waits until',
    file: 'src/core/changes/changed-reads.ts',
    find: 'leftMs === 0 || !isKnown(read)',
    replace: 'leftMs === 0 || isKnown(read) || true',
  },
]

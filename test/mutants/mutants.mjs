/**
 * Mistakes in the algorithm, each as one change to one file. `find` occurs in the file exactly once; where it does not
 * any more, the run fails, and the mutant is to be put where the mistake would now be made. `caughtBy` is the test file
 * that is tried first; without a folder, one of the core's. `tests` is a pattern for the names of the tests in it that
 * are run, where all of them would take too long.
 */
import { batchMutants } from './batch-mutants.mjs'
import { bindingMutants } from './binding-mutants.mjs'
import { expiryMutants } from './expiry-mutants.mjs'
import { followerMutants } from './follower-mutants.mjs'
import { invalidationMutants } from './invalidation-mutants.mjs'
import { leaseMutants } from './lease-mutants.mjs'
import { nearMutants } from './near-mutants.mjs'
import { outboxMutants } from './outbox-mutants.mjs'
import { queryMutants } from './query-mutants.mjs'
import { statementMutants } from './statement-mutants.mjs'

/** The mistakes of the design. */
const mistakes = [
  {
    name: 'no token on fills',
    caughtBy: 'protocol',
    file: 'src/core/reads/fills.ts',
    find: 'const stored = state.put(flight, entry, asOfMs)',
    replace: 'const stored = state.put(state.open(flight.id, flight.openedAtMs), entry, asOfMs)',
  },
  {
    name: 'a token that outlives a reconnect',
    caughtBy: 'protocol',
    file: 'src/core/state/flights.ts',
    find: ' && flight.generation >= feed.coveredGeneration',
    replace: '',
  },
  {
    name: 'no revalidation',
    caughtBy: 'protocol',
    file: 'src/core/feed/revalidation.ts',
    find: 'const ids = held.ids()',
    replace: 'const ids = held.ids().slice(0, 0)',
  },
  {
    // The visible effect in core: versions compared before this session's LISTEN count as compared after it. The
    // other place for the mistake, calling `listening` before LISTEN is acknowledged, is in postgres/feed.ts.
    name: 'revalidation before LISTEN',
    caughtBy: 'protocol',
    file: 'src/core/state/lease.ts',
    find: "if (this.#state !== 'catching-up' || this.#session !== comparison.session) return",
    replace: "if (this.#state !== 'catching-up') return",
  },
  {
    name: 'no lease',
    caughtBy: 'protocol',
    file: 'src/core/state/cache-state.ts',
    find: `const { lease, stats } = this.#parts
    if (!lease.holds(nowMs)) return undefined
    const entry`,
    replace: `const { lease, stats } = this.#parts
    const entry`,
  },
  {
    name: 'lease by time of receipt',
    caughtBy: 'protocol',
    file: 'src/core/feed/feed-follower.ts',
    find: 'lease.proven(asOfMs, proof',
    replace: 'lease.proven(this.#parts.clock.now(), proof',
  },
  {
    name: 'any change renews the lease',
    caughtBy: 'protocol',
    file: 'src/core/feed/feed-follower.ts',
    find: 'stats.changesApplied++',
    replace: 'stats.changesApplied++; lease.proven(this.#parts.clock.now())',
  },
  {
    name: 'a change ignored because its version is lower',
    caughtBy: 'protocol',
    file: 'src/core/state/cache-state.ts',
    find: 'if (entry === undefined || entry.version === version) return',
    replace: 'if (entry === undefined || BigInt(entry.version) >= BigInt(version ?? 1e18)) return',
  },
  {
    name: 'equality without the epoch',
    caughtBy: 'protocol',
    file: 'src/core/feed/revalidation.ts',
    find: `if (reason === 'onward' || reason === 'first') return false`,
    replace: `if (reason !== 'rewound') return false`,
  },
  {
    name: 'an unconditional put after a write',
    caughtBy: 'protocol',
    file: 'src/core/writes/direct-writes.ts',
    find: 'state.put(flight, { key, value: sent.value, version,',
    replace: 'state.put({ ...state.open(id, nowMs), changes: [] }, { key, value: sent.value, version,',
  },
  {
    name: 'put as sent',
    caughtBy: 'protocol',
    file: 'src/core/writes/direct-writes.ts',
    find: 'if (isAsSent)',
    replace: 'if (isAsSent || !isAsSent)',
  },
  {
    name: 'what remains is ignored after a write',
    caughtBy: 'protocol',
    file: 'src/core/writes/direct-writes.ts',
    find: 'value: sent.value, version, epoch, remainingMs, isComparable',
    replace: 'value: sent.value, version, epoch, remainingMs: undefined, isComparable',
  },
  {
    name: 'another fingerprint in a probe is ignored',
    caughtBy: 'protocol',
    file: 'src/core/feed/feed-follower.ts',
    find: '    this.#tableSeen(proof.fingerprint)\n',
    replace: '',
  },
  {
    name: 'another fingerprint at the begin of a session is ignored',
    caughtBy: 'protocol',
    file: 'src/core/feed/feed-follower.ts',
    find: '    this.#tableSeen(session.fingerprint)\n',
    replace: '',
  },
  {
    name: 'a fill from a lagging replica',
    caughtBy: 'replica-reads',
    file: 'src/core/reads/replica-reads.ts',
    find: 'this.#position === undefined || this.#shownSince.has(id)',
    replace: 'this.#position === undefined || (this.#shownSince.has(id) && false)',
  },
]

/** Rules left out that those do not cover. */
const omissions = [
  {
    name: 'a write with a condition is kept',
    caughtBy: 'conditional-writes',
    file: 'src/core/writes/direct-writes.ts',
    find: '{ value, mediaType, expiresAtMs, groups }, error, !isDecided)',
    replace: '{ value, mediaType, expiresAtMs, groups }, error, true)',
  },
  {
    name: 'a condition is decided before the pending write of its key',
    caughtBy: 'conditional-writes',
    file: 'src/core/writes/direct-writes.ts',
    find: 'if (isDecided) await delivery.finish(id)',
    replace: "if (isDecided) await delivery.finish('')",
  },
  {
    name: 'a write with a condition drops a later one that is pending',
    caughtBy: 'conditional-writes',
    file: 'src/core/writes/direct-writes.ts',
    find: 'if (!isDecided) delivery.drop(id)',
    replace: 'delivery.drop(id)',
  },
  {
    name: 'an entry that a condition disproved stays',
    caughtBy: 'conditional-writes',
    file: 'src/core/writes/direct-writes.ts',
    find: '        state.apply(id, before)\n',
    replace: '',
  },
  {
    name: 'writes with a condition are merged',
    caughtBy: 'conditional-writes',
    file: 'src/core/batching/batched-store.ts',
    find: 'const key = String(++this.#conditionalWrites)',
    replace: 'const key = String(this.#conditionalWrites)',
  },
  {
    name: 'a confirmed value loses its media type',
    caughtBy: 'conditional-writes',
    file: 'src/core/reads/fills.ts',
    find: 'value: held.value, mediaType: held.mediaType }',
    replace: 'value: held.value }',
  },
  {
    name: 'the base of a pending write has no media type',
    caughtBy: 'conditional-writes',
    file: 'src/core/state/known-versions.ts',
    find: "return { kind: 'held', version, value, mediaType, fingerprint, expiresAtMs }",
    replace:
      "return { kind: 'held', version, value, mediaType: mediaType && undefined, fingerprint, expiresAtMs }",
  },
  {
    name: 'a PUT that replaces says that it created',
    caughtBy: 'http/entry',
    tests: 'a write says whether',
    file: 'src/http/routes/entry/change-response.ts',
    find: 'existed ? 204 : 201',
    replace: 'existed ? 201 : 201',
  },
  {
    name: 'an ETag for bytes that come back otherwise',
    caughtBy: 'http/entry',
    tests: 'an ETag is given only',
    file: 'src/http/routes/entry/change-response.ts',
    find: 'isExact && written ?',
    replace: '(isExact || written) && written ?',
  },
  {
    name: 'a weak tag counts for If-Match',
    caughtBy: 'http/entry',
    tests: 'If-None-Match is answered with 304',
    file: 'src/http/routes/entry/preconditions.ts',
    find: '(isWeakComparison || weak === undefined)',
    replace: '(isWeakComparison || weak === undefined || true)',
  },
  {
    name: 'a text with U+0000 is stored as text',
    caughtBy: 'http/binary',
    tests: 'any bytes come back',
    file: 'src/http/routes/entry/entry-content.ts',
    find: 'if (bytes.includes(0)) return undefined',
    replace: 'if (bytes.includes(0) && bytes.length > 1000) return undefined',
  },
  {
    name: 'base64 is not checked before it is decoded',
    caughtBy: 'http/binary',
    tests: 'a text that does not fit',
    file: 'src/postgres/store/value.ts',
    find: "return Buffer.from(text, 'base64').toString('base64') === text",
    replace: "return Buffer.from(text, 'base64').toString('base64') !== ' '",
  },
  {
    name: 'a content type from the table is sent as it is',
    caughtBy: 'http/binary',
    tests: 'a text that does not fit',
    file: 'src/postgres/store/value.ts',
    find: 'if (!isMediaType(contentTypeOf(mediaType))) return false',
    replace: 'if (!isMediaType(contentTypeOf(mediaType)) && text === mediaType) return false',
  },
  {
    name: 'absent: a change to a row does not prevent the put',
    caughtBy: 'negative-entries',
    file: 'src/core/state/flights.ts',
    find: 'return this.unbroken(flight, feed) && flight.changes.every(isDelete)',
    replace: 'return this.unbroken(flight, feed)',
  },
  {
    name: 'absent: a token that outlives a reconnect',
    caughtBy: 'negative-entries',
    file: 'src/core/state/flights.ts',
    find: 'return this.unbroken(flight, feed) && flight.changes.every(isDelete)',
    replace: 'return feed.mayPut && flight.changes.every(isDelete)',
  },
  {
    name: 'absent: an insert does not drop it',
    caughtBy: 'negative-entries',
    file: 'src/core/state/cache-state.ts',
    find: 'if (!isDelete(version)) this.#absences.drop(id)',
    replace: 'if (isDelete(version)) this.#absences.drop(id)',
  },
  {
    name: 'absent: not compared at a reconnect',
    caughtBy: 'negative-entries',
    file: 'src/core/feed/revalidation.ts',
    find: 'for (const held of [state.entries, state.absences])',
    replace: 'for (const held of [state.entries])',
  },
  {
    name: 'absent: no lease',
    caughtBy: 'negative-entries',
    file: 'src/core/state/cache-state.ts',
    find: `if (!lease.holds(nowMs)) return undefined
    const absence`,
    replace: 'const absence',
  },
  {
    name: 'a strong request for many keys in several statements',
    caughtBy: 'bulk-reads',
    file: 'src/core/batching/batched-store.ts',
    find: '{ ...bounds, maxItems: Number.POSITIVE_INFINITY }',
    replace: '{ ...bounds, maxItems: 500 }',
  },
  {
    name: 'the statement of a strong request is split',
    caughtBy: 'bulk-reads',
    file: 'src/core/batching/batched-store.ts',
    find: 'isOneSnapshot ? asOfWholeStatement(error) : error',
    replace: 'isOneSnapshot ? error : asOfWholeStatement(error)',
  },
  {
    name: 'a strong request continues with another snapshot',
    caughtBy: 'bulk-reads',
    file: 'src/core/batching/batched-store.ts',
    find: '!isOneSnapshot && isPostponed(answer)',
    replace: 'isPostponed(answer)',
  },
  {
    name: 'a read fails with the request for many keys that it joined',
    caughtBy: 'bulk-reads',
    file: 'src/core/reads/fills.ts',
    find: "if (hasCode(error, 'too-large-together'))",
    replace: "if (hasCode(error, 'too-large'))",
  },
  {
    name: 'a write token taken when the answer is there',
    caughtBy: 'protocol',
    file: 'src/core/writes/direct-writes.ts',
    find: 'state.put(flight, { key, value: sent.value',
    replace: 'state.put(state.open(id, nowMs), { key, value: sent.value',
  },
  {
    name: 'a fill begun before the feed had caught up puts',
    caughtBy: 'protocol',
    file: 'src/core/state/flights.ts',
    find: 'flight.mayPut && ',
    replace: '',
  },
  {
    name: 'tokens hear of no change',
    caughtBy: 'protocol',
    file: 'src/core/state/flights.ts',
    find: 'flight.changes.push(version)',
    replace: 'void [flight, version]',
  },
  {
    name: 'a token ignores changes with a lower version',
    caughtBy: 'protocol',
    file: 'src/core/state/flights.ts',
    find: 'flight.changes.every((change) => change === version)',
    replace: 'flight.changes.every((change) => change !== undefined && BigInt(change) <= BigInt(version))',
  },
  {
    name: 'a change drops its own entry too',
    caughtBy: 'protocol',
    file: 'src/core/state/cache-state.ts',
    find: 'if (entry === undefined || entry.version === version) return',
    replace: 'if (entry === undefined) return',
  },
  {
    name: 'an unknown outcome leaves the entry',
    caughtBy: 'protocol',
    file: 'src/core/writes/direct-writes.ts',
    find: `      state.doubtWrite(id)
`,
    replace: '',
  },
  {
    name: 'an unknown outcome is kept as if it had not happened',
    caughtBy: 'protocol',
    file: 'src/core/writes/direct-writes.ts',
    find: 'const willPass = hasCode(error, ...passingErrors)',
    replace: "const willPass = hasCode(error, ...passingErrors, 'outcome-unknown')",
  },
  {
    name: 'a fill is joined after a change',
    caughtBy: 'protocol',
    file: 'src/core/state/flights.ts',
    find: `this.#fills.delete(id)
    const flights`,
    replace: 'const flights',
  },
  {
    name: 'a fill is joined after the feed was lost',
    caughtBy: 'protocol',
    file: 'src/core/state/flights.ts',
    find: 'this.#fills.clear()',
    replace: '',
  },
  {
    name: 'a fill is joined however old',
    caughtBy: 'protocol',
    file: 'src/core/state/flights.ts',
    find: 'return fill && fill.startedAtMs >= sinceMs ? fill.result : undefined',
    replace: 'return fill && fill.startedAtMs >= Math.min(sinceMs, 0) ? fill.result : undefined',
  },
  {
    name: 'no fill is joined',
    caughtBy: 'protocol',
    file: 'src/core/reads/fills.ts',
    find: `if (joinable) {`,
    replace: `if (joinable && nowMs < 0) {`,
  },
  {
    name: 'a loss of the feed is not a new generation',
    caughtBy: 'protocol',
    file: 'src/core/state/lease.ts',
    find: `this.#generation++
    this.#coveredGeneration = this.#generation
    this.#session++`,
    replace: `this.#session++`,
  },
  {
    name: 'a doubt is not a new generation',
    caughtBy: 'protocol',
    file: 'src/core/state/lease.ts',
    find: "this.#generation++\n    if (this.#state === 'live')",
    replace: "if (this.#state === 'live')",
  },
  {
    name: 'live without having caught up',
    caughtBy: 'protocol',
    file: 'src/core/state/lease.ts',
    find: "this.#state = 'catching-up'\n    this.#hasCaughtUp = false\n    this.#provenOnceCaughtUpMs = asOfMs",
    replace: "this.#state = 'live'\n    this.#hasCaughtUp = true\n    this.#asOfMs = asOfMs",
  },
  {
    name: 'a probe counts before the cache has caught up',
    caughtBy: 'protocol',
    file: 'src/core/state/lease.ts',
    find: `} else if (this.#state === 'catching-up') {
`,
    replace: `} else if (this.#state === 'catching-up') {
      this.#asOfMs = Math.max(this.#asOfMs, asOfMs)
`,
  },
  {
    name: 'a probe counts though the feed is down',
    caughtBy: 'lease',
    file: 'src/core/state/lease.ts',
    find: `if (this.#state === 'live') {
      this.#asOfMs`,
    replace: `if (this.#state !== 'catching-up') {
      this.#asOfMs`,
  },
  {
    name: 'a loss of the feed drops everything',
    caughtBy: 'protocol',
    file: 'src/core/feed/feed-follower.ts',
    find: '    lease.lost()',
    replace: `    lease.lost()
    state.forget()`,
  },
  {
    name: 'what remains is counted from the answer',
    caughtBy: 'protocol',
    file: 'src/core/state/held-entries.ts',
    find: 'askedMs + (remainingMs',
    replace: 'this.#clock.now() + (remainingMs',
  },
  {
    name: 'expiry is not looked at',
    caughtBy: 'protocol',
    file: 'src/core/state/held-entries.ts',
    find: 'if (entry === undefined || entry.expiresAtMs <= nowMs) return undefined',
    replace: 'if (entry === undefined) return undefined',
  },
  {
    name: 'a hit prolongs an entry beyond its row',
    caughtBy: 'ttl',
    file: 'src/core/state/held-entries.ts',
    find: 'Math.min(nowMs + this.#ttl.drawMs(entry.key), entry.rowExpiresAtMs)',
    replace: 'nowMs + this.#ttl.drawMs(entry.key)',
  },
  {
    name: 'what is held answers, whatever version the store has',
    caughtBy: 'ttl',
    file: 'src/core/reads/fills.ts',
    find: 'entryHeld(answer, sent.held) : answer',
    replace: 'entryHeld(answer, sent.held) : { ...answer, value: sent.held?.value ?? answer.value }',
  },
  {
    name: 'a shorter time to live does not count for what is held',
    caughtBy: 'ttl',
    file: 'src/core/state/ttl-policy.ts',
    find: 'if (one.expiresAtMs > nowMs + this.boundMs(one.key))',
    replace: 'if (one.expiresAtMs > nowMs + this.boundMs(one.key) && false)',
  },

  {
    name: 'a pending write leaves the entry it replaces',
    caughtBy: 'outage',
    file: 'src/core/writes/direct-writes.ts',
    find: `      })
    }
    state.apply(id, undefined)`,
    replace: `      })
    }`,
  },
  {
    name: 'a pending write forgets what it replaces',
    caughtBy: 'outage',
    file: 'src/core/state/known-versions.ts',
    find: `    if (entry) {
      const { version, mediaType`,
    replace: `    if (entry && id === '') {
      const { version, mediaType`,
  },
  {
    name: 'a mark covers whatever was written while it was asked for',
    caughtBy: 'outage',
    file: 'src/core/state/known-versions.ts',
    find: 'if (atMs < askedMs - oldestMarkMs)',
    replace: 'if (atMs < askedMs - oldestMarkMs || true)',
  },
  {
    name: 'an own write is remembered though somebody has changed the row since',
    caughtBy: 'outage',
    file: 'src/core/state/known-versions.ts',
    find: 'isLater(version, own.version))',
    replace: 'isLater(version, own.version) && own.atMs < 0)',
  },
  {
    name: 'own writes outlive a change of the table',
    caughtBy: 'outage',
    file: 'src/core/state/known-versions.ts',
    find: 'if (isChanged) this.#writtenSinceMark.clear()',
    replace: '',
  },
  {
    name: 'a later pending write takes a new base',
    caughtBy: 'outage',
    file: 'src/core/writes/pending-writes.ts',
    find: `        ...earlier,
        value,`,
    replace: `        ...write,
        value,`,
  },
  {
    name: 'a pending write that may have happened is sent as if it had not',
    caughtBy: 'pending-writes',
    file: 'src/core/writes/delivery.ts',
    find: `else pending.doubt(id)
        }`,
    replace: `else pending.has(id)
        }`,
  },
  {
    name: 'a pending write answers the token of a later one',
    caughtBy: 'wishes',
    file: 'src/core/reads/reads.ts',
    find: 'if (strong || !state.satisfies(token, id)) return undefined',
    replace: 'if (strong || (!pending.get(id) && !state.satisfies(token, id))) return undefined',
  },
  {
    name: 'a write that was heard of before it was acknowledged is waited for',
    caughtBy: 'wishes',
    file: 'src/core/state/cache-state.ts',
    find: ' && !changes.includes(version)',
    replace: ' && !(changes.includes(version) && false)',
  },
  {
    name: 'a later pending write is lost with the earlier one',
    caughtBy: 'pending-writes',
    file: 'src/core/writes/pending-writes.ts',
    find: `if (current === write) this.#writes.delete(id)
    else if`,
    replace: `if (current === write || current) this.#writes.delete(id)
    if`,
  },
  {
    name: 'a pending write outlives a later write',
    caughtBy: 'outage',
    file: 'src/core/writes/direct-writes.ts',
    find: `    delivery.drop(flight.id)
`,
    replace: '',
  },
  {
    name: 'a settled write leaves what was read meanwhile',
    caughtBy: 'pending-writes',
    file: 'src/core/writes/delivery.ts',
    find: '    state.written(id, written && { ...written, expiresAtMs })',
    replace: '    void state',
  },
  {
    name: 'a missing answer to a pending write is not a conflict',
    caughtBy: 'outage',
    file: 'src/core/writes/delivery.ts',
    find: "result.value ?? { kind: 'conflict' }",
    replace: "result.value ?? { kind: 'written', written: undefined }",
  },
  {
    name: 'an entry dropped meanwhile is served in an outage',
    caughtBy: 'outage',
    file: 'src/core/reads/reads.ts',
    find: 'if (usable && state.entries.usable(id, clock.now()) === usable)',
    replace: 'if (usable && clock.now() >= 0)',
  },
  {
    name: 'a key that is not here is absent in an outage',
    caughtBy: 'outage',
    file: 'src/core/reads/reads.ts',
    find: `'unproven')
      throw error`,
    replace: `'unproven')
      return { value: undefined, ageMs: 0 }`,
  },
  {
    name: 'a write of a key does not wait for a kept one on its way',
    caughtBy: 'outage',
    file: 'src/core/writes/delivery.ts',
    find: 'while (this.#onTheirWay.has(id)) await',
    replace: "if (id === '') await",
  },
  {
    name: 'a pending write is sent beside a later write of its key',
    caughtBy: 'outage',
    file: 'src/core/writes/delivery.ts',
    find: 'if (!this.#heldBack.has(id) && !this.#inDoubt.has(id)) batch.push',
    replace: 'if (!this.#inDoubt.has(id)) batch.push',
  },
  {
    name: 'a token is satisfied by any entry',
    caughtBy: 'wishes',
    file: 'src/core/state/known-versions.ts',
    find: 'return this.#confirmed.has(written.version) || held?.version === written.version',
    replace: 'return held !== undefined',
  },
  {
    name: 'a strong read joins a fill under way',
    caughtBy: 'wishes',
    file: 'src/core/reads/fills.ts',
    find: "forwarded === 'request' ? undefined : ",
    replace: '',
  },
  {
    name: 'a deaf feed renews the lease',
    caughtBy: 'wishes',
    file: 'src/core/feed/feed-follower.ts',
    find: "if (state.hasUnannounced(asOfMs)) throw new PublicError('a write of our own was not announced')",
    replace: '',
  },
  {
    name: 'an answer from another history is put',
    caughtBy: 'wishes',
    file: 'src/core/state/cache-state.ts',
    find: 'if (!versions.isOurs(epoch, openedAtMs)) return false',
    replace: 'versions.isOurs(epoch, openedAtMs)',
  },
  {
    name: 'an answer from another history counts as the last contact',
    caughtBy: 'protocol',
    file: 'src/core/state/known-versions.ts',
    find: 'if (!this.isOurs(epoch, askedMs)) return undefined',
    replace: `this.#parts.position.version(version)
    if (!this.isOurs(epoch, askedMs)) return undefined`,
  },
  {
    name: 'a write in another history is a change in this one',
    caughtBy: 'wishes',
    file: 'src/core/state/known-versions.ts',
    find: 'if (!this.isOurs(epoch, askedMs)) return undefined',
    replace: 'this.isOurs(epoch, askedMs)',
  },
  {
    name: 'a fill hides the pending write of its key',
    caughtBy: 'outage',
    file: 'src/core/state/cache-state.ts',
    find: 'return !pending.has(id)',
    replace: 'return pending.size >= 0 || id.length > 0',
  },
  {
    name: 'a fill puts while what happened before the session is not compared',
    caughtBy: 'protocol',
    file: 'src/core/state/lease.ts',
    find: 'return this.#hasCaughtUp',
    replace: "return this.#hasCaughtUp || this.#state === 'catching-up'",
  },
  {
    name: 'an idle feed that still lets fills put',
    caughtBy: 'idle',
    file: 'src/core/state/lease.ts',
    find: "this.#end('idle')",
    replace: "this.#state = 'idle'",
  },
  {
    name: 'pending writes do not keep the feed from resting',
    caughtBy: 'idle',
    file: 'src/core/feed/feed-follower.ts',
    find: 'pending.size > 0 || ',
    replace: 'pending.size < 0 || ',
  },
  {
    name: 'idleness taken for a lost feed',
    caughtBy: 'idle',
    file: 'src/core/reads/reads.ts',
    find: "onFeedLoss === 'stale' && !idleness.isUnproven",
    replace: "onFeedLoss === 'stale' && idleness !== undefined",
  },
  {
    name: 'a hit does not count as use',
    caughtBy: 'idle',
    file: 'src/core/cache.ts',
    find: `this.#idleness.used(nowMs)
    return this.#state.hit(keyId(key), nowMs)`,
    replace: 'return this.#state.hit(keyId(key), nowMs)',
  },
  {
    name: 'nothing is proven while doubts come without end',
    caughtBy: 'lease',
    file: 'src/core/state/lease.ts',
    find: 'const isComplete = this.#generation === comparison.generation',
    replace:
      'const isComplete = this.#generation === comparison.generation\n    if (!isComplete) return true',
  },
  {
    name: 'a comparison proves what came up since it began',
    caughtBy: 'lease',
    file: 'src/core/state/lease.ts',
    find: '      : comparison\n',
    replace: '      : { ...comparison, asOfMs: this.#provenOnceCaughtUpMs }\n',
  },
  {
    name: 'a doubt left over is never compared',
    caughtBy: 'protocol',
    file: 'src/core/feed/feed-follower.ts',
    find: 'return this.#revalidation.runIfDue()',
    replace: 'return undefined',
  },
  {
    name: 'a version that a change names counts as told by the store',
    caughtBy: 'protocol',
    file: 'src/core/feed/feed-follower.ts',
    find: 'state.announced(change.id, change.version)',
    replace: `state.announced(change.id, change.version)
      this.#parts.position.version(change.version)`,
  },
  {
    name: 'a change satisfies the token that names its version',
    caughtBy: 'wishes',
    file: 'src/core/feed/feed-follower.ts',
    find: 'state.announced(change.id, change.version)',
    replace: `state.announced(change.id, change.version)
      this.#parts.versions.confirmed(change.version)`,
  },
  {
    name: 'a token that the store never handed out is remembered',
    caughtBy: 'wishes',
    file: 'src/core/state/known-versions.ts',
    find: "if (BigInt(entry.version) >= BigInt(written.version.replace('-', '')))",
    replace: 'if (entry)',
  },
  {
    name: 'two writes of one key are under way in two statements',
    caughtBy: 'batcher',
    file: 'src/core/batching/waiting-items.ts',
    find: 'if (keepsOrder) this.#underWay.add(key)',
    replace: 'void keepsOrder',
  },
  {
    name: 'a later write of unknown outcome leaves no doubt about a kept one',
    caughtBy: 'outage',
    file: 'src/core/writes/pending-writes.ts',
    find: `must not replace what this one has left.
    this.doubt(id)`,
    replace: `must not replace what this one has left.`,
  },
  {
    name: "a replica's position taken for later than what came while it was asked for",
    caughtBy: 'replica-reads',
    file: 'src/core/reads/replica-reads.ts',
    find: 'this.#shownSince = shownSince\n',
    replace: 'this.#shownSince = new ObservedKeys()\n',
  },
  {
    name: 'a replica read from while changes may have been missed',
    caughtBy: 'replica-reads',
    file: 'src/core/reads/replica-reads.ts',
    find: 'this.#position = undefined\n    this.#shownSinceNext = undefined',
    replace: 'this.#shownSinceNext = undefined',
  },
  {
    name: "a replica's position from before changes may have been missed",
    caughtBy: 'replica-reads',
    file: 'src/core/reads/replica-reads.ts',
    find: 'if (this.#shownSinceNext !== shownSince) return\n',
    replace: '',
  },
  {
    name: 'a strong read from a replica',
    caughtBy: 'replica-reads',
    file: 'src/core/reads/fills.ts',
    find: "if (forwarded === 'request' || lease.state !== 'live')",
    replace: "if ((forwarded === 'request' && false) || lease.state !== 'live')",
  },
  {
    name: "a replica's answer taken for as new as the question",
    caughtBy: 'replica-reads',
    file: 'src/core/reads/fills.ts',
    find: 'const isInTime = clock.now() - asOfMs <= maxStalenessMs',
    replace: 'const isInTime = clock.now() - asOfMs <= maxStalenessMs || true',
  },
  {
    name: 'a fill from a replica joined as if the primary were asked',
    caughtBy: 'replica-reads',
    file: 'src/core/reads/fills.ts',
    find: 'startedAtMs: fromReplica ? lease.asOfMs : nowMs',
    replace: 'startedAtMs: fromReplica ? Math.max(nowMs, lease.asOfMs) : nowMs',
  },
  {
    name: 'a heard change not counted as shown',
    caughtBy: 'replica-reads',
    file: 'src/core/state/cache-state.ts',
    find: `    this.#flights.changed(id, version)
    this.#parts.replicaReads?.shown(id)
`,
    replace: `    this.#flights.changed(id, version)
`,
  },
  {
    name: 'an answer not counted as shown',
    caughtBy: 'replica-reads',
    file: 'src/core/reads/fills.ts',
    find: `    replicaReads?.shown(flight.id)
`,
    replace: `    void replicaReads
`,
  },
  {
    name: "a replica's answer taken for contact with the primary",
    caughtBy: 'replica-reads',
    file: 'src/core/reads/fills.ts',
    find: 'if (asOfMs === undefined) delivery.inContact()',
    replace: 'delivery.inContact()',
  },
  {
    name: 'more keys shown than are remembered',
    caughtBy: 'replica-reads',
    file: 'src/core/reads/observed-keys.ts',
    find: 'return this.#all || this.#ids.has(id)',
    replace: 'return this.#ids.has(id)',
  },
  {
    name: 'a position that goes back is ignored',
    caughtBy: 'protocol',
    file: 'src/core/state/database-position.ts',
    find: 'return epoch === this.#epoch && latest >= floor',
    replace: 'return epoch === this.#epoch && (latest >= floor || true)',
  },
  {
    name: 'a position is compared with what was told after it was asked for',
    caughtBy: 'protocol',
    file: 'src/core/feed/feed-follower.ts',
    find: '!position.isOnward(proof, this.#probeFloor)',
    replace: '!position.isOnward(proof, position.latest)',
  },
  {
    name: 'a mark that is gone is ignored',
    caughtBy: 'protocol',
    file: 'src/core/feed/revalidation.ts',
    find: "progress === 'onward' && !answer.hasMark ? 'rewound' : progress",
    replace: 'progress',
  },
  {
    name: 'a mark outlives its history',
    caughtBy: 'database-position',
    file: 'src/core/state/database-position.ts',
    find: "this.#latest = latest\n    this.#mark = undefined\n    if (before === undefined) return 'first'",
    replace: "this.#latest = latest\n    if (before === undefined) return 'first'",
  },
  {
    name: 'a mark that was asked for in another history is taken',
    caughtBy: 'outage',
    file: 'src/core/feed/feed-follower.ts',
    find: 'if (position.epoch === epoch) versions.marked(mark, latest, askedMs)',
    replace: "if (position.epoch !== '' || epoch) versions.marked(mark, latest, askedMs)",
  },
  {
    name: 'no mark is left after the first',
    caughtBy: 'outage',
    file: 'src/core/feed/feed-follower.ts',
    find: 'if (position.isPastMark && nowMs - this.#markedMs >= markIntervalMs)',
    replace: 'if (position.mark === undefined && nowMs - this.#markedMs > -markIntervalMs)',
  },
  {
    name: 'a comparison begins with every notification that names no change',
    caughtBy: 'protocol',
    file: 'src/core/feed/feed-follower.ts',
    find: 'return this.#revalidation.runIfDue()',
    replace: 'return this.#revalidation.runIfNeeded()',
  },
  {
    name: 'an answer from another history does not end the session',
    caughtBy: 'protocol',
    file: 'src/core/state/known-versions.ts',
    find: 'if (position.epoch !== undefined) session.foreignHistory(askedMs)',
    replace: "if (position.epoch === '') session.foreignHistory(askedMs)",
  },
  {
    name: 'a late answer from the history before ends the session',
    caughtBy: 'protocol',
    file: 'src/core/state/followed-session.ts',
    find: 'if (askedMs > this.#listeningMs) this.#session',
    replace: 'if (askedMs > this.#listeningMs || askedMs > Number.NEGATIVE_INFINITY) this.#session',
  },
  {
    name: 'what is in flight is put after a flush',
    caughtBy: 'protocol',
    file: 'src/core/feed/feed-follower.ts',
    find: `    state.forget()
    lease.stopFlights()`,
    replace: `    state.forget()
    void lease`,
  },
  {
    name: 'a flush leaves the versions that were told',
    caughtBy: 'wishes',
    file: 'src/core/state/known-versions.ts',
    find: `  forget(): void {
    this.#confirmed.clear()
`,
    replace: `  forget(): void {
`,
  },
  {
    name: 'what is in flight is put though it belongs to another history',
    caughtBy: 'protocol',
    file: 'src/core/feed/revalidation.ts',
    find: 'lease.doubt()\n      comparison = lease.comparing()',
    replace: 'comparison = lease.comparing()',
  },
  {
    name: "the database's clock put forward is ignored",
    caughtBy: 'protocol',
    file: 'src/core/feed/feed-follower.ts',
    find: 'if (state.databaseClockSeen(proof.databaseMs, asOfMs, nowMs)) changeLog.gap()',
    replace: 'void changeLog',
  },
  {
    name: 'a row left out by a trigger counts as written',
    caughtBy: 'protocol',
    file: 'src/core/writes/direct-writes.ts',
    find: `    this.#parts.state.apply(id, undefined)
    return new`,
    replace: `    void this.#parts.state.baseOf(id)
    return new`,
  },
  {
    name: 'absent: no versions of another history confirm it',
    caughtBy: 'negative-entries',
    file: 'src/core/feed/revalidation.ts',
    find: 'versions !== undefined && versions.get(key) === version',
    replace: 'versions?.get(key) === version',
  },
  {
    name: 'absent: put from a replica',
    caughtBy: 'negative-entries',
    file: 'src/core/reads/fills.ts',
    find: '      // A replica does not know it for certain.\n',
    replace: `      const { epoch } = this.#parts.position
      if (answer === undefined && epoch)
        return { value: undefined, forwarded, stored: state.putAbsence(flight, key, { epoch }), ageMs }
`,
  },
  {
    name: 'absent: an answer with the row leaves it',
    caughtBy: 'negative-entries',
    file: 'src/core/reads/fills.ts',
    find: '    state.absences.drop(flight.id)\n',
    replace: '',
  },
  {
    name: 'absent: other flights are not told',
    caughtBy: 'negative-entries',
    file: 'src/core/state/cache-state.ts',
    find: '    this.#flights.told(flight, undefined)\n',
    replace: '',
  },
  {
    name: 'absent: another table leaves it',
    caughtBy: 'negative-entries',
    file: 'src/core/state/cache-state.ts',
    find: 'this.#entries.clear()\n    this.#absences.clear()',
    replace: 'this.#entries.clear()',
  },
  {
    name: 'absent: a clock that goes back leaves it',
    caughtBy: 'negative-entries',
    file: 'src/core/state/cache-state.ts',
    find: '\n    else this.#absences.clear()',
    replace: '',
  },
  {
    name: 'absent: no time to live',
    caughtBy: 'negative-entries',
    file: 'src/core/state/negative-entries.ts',
    find: 'if (absence.expiresAtMs <= nowMs) {',
    replace: 'if (absence.expiresAtMs <= nowMs && false) {',
  },
  {
    name: 'absent: put after a delete, whatever triggers there are',
    caughtBy: 'negative-entries',
    file: 'src/core/writes/direct-writes.ts',
    find: 'if (written?.isAsSent) state.putAbsence',
    replace: 'if (written) state.putAbsence',
  },
  {
    name: 'absent: put after a delete of nothing',
    caughtBy: 'negative-entries',
    file: 'src/core/writes/direct-writes.ts',
    find: 'if (written?.isAsSent) state.putAbsence(flight, key, written)',
    replace:
      'if (written?.isAsSent || answer?.version === undefined) state.putAbsence({ ...flight, changes: [] }, key, { epoch: answer?.epoch ?? "" })',
  },
  {
    name: 'absent: the warm-up puts it',
    caughtBy: 'negative-entries',
    file: 'src/core/reads/fills.ts',
    find: 'const stored = !isWarmUp && state.putAbsence(',
    replace: 'const stored = state.putAbsence(',
  },
  {
    name: 'absent: without room, one is put all the same',
    caughtBy: 'negative-entries',
    file: 'src/core/state/negative-entries.ts',
    find: '    if (this.#capacity === 0) return false\n',
    replace: '',
  },
  {
    name: 'a strong read that finds nothing leaves the entry',
    caughtBy: 'protocol',
    file: 'src/core/reads/fills.ts',
    find: '      state.entries.drop(flight.id)\n',
    replace: '',
  },
  {
    name: 'a flight is not told what another has put',
    caughtBy: 'wishes',
    file: 'src/core/state/cache-state.ts',
    find: `    this.#flights.told(flight, version)
`,
    replace: '',
  },
  {
    name: 'a pending write does not name the value it replaces',
    caughtBy: 'outage',
    file: 'src/core/state/known-versions.ts',
    find: 'const value = entry.isComparable ? entry.value : undefined',
    replace: 'const value = entry.isComparable ? undefined : undefined',
  },
  {
    name: 'the first of two writes that hold a kept one back lets it go',
    caughtBy: 'pending-writes',
    file: 'src/core/writes/delivery.ts',
    find: `if (others > 0) this.#heldBack.set(id, others)
      else this.#heldBack.delete(id)`,
    replace: `void others
      this.#heldBack.delete(id)`,
  },
  {
    name: 'a pending write that was held back once is never sent',
    caughtBy: 'pending-writes',
    file: 'src/core/writes/delivery.ts',
    find: 'if (others > 0) this.#heldBack.set(id, others)',
    replace: 'if (others >= 0) this.#heldBack.set(id, others)',
  },
  {
    name: 'of the versions that were told only the last is known',
    caughtBy: 'confirmed-versions',
    file: 'src/core/state/confirmed-versions.ts',
    find: 'Math.floor(number / randomBits)) % places',
    replace: 'Math.floor(number / randomBits)) % Math.min(places, 1)',
  },
  {
    name: 'of a token only its first byte is compared',
    caughtBy: 'http/bearer-token',
    file: 'src/http/access/bearer-token.ts',
    find: 'timingSafeEqual(digestOf(given), this.#digest)',
    replace: 'timingSafeEqual(digestOf(given).subarray(0, 1), this.#digest.subarray(0, 1))',
  },
]

/** Mistakes in the model of the database in the property test: the schedules must need each rule. */
const models = [
  {
    name: 'model: versions without random bits',
    caughtBy: 'property',
    file: 'test/support/simulated-database.ts',
    find: '(this.#sequence << saltBits) | ++this.#salt',
    replace: '(this.#sequence << saltBits) | (++this.#salt & 0n)',
  },
  {
    name: 'model: a pending write without its mark is accepted',
    caughtBy: 'property',
    file: 'test/support/simulated-database.ts',
    find: 'return before !== undefined && row.commit <= before',
    replace: 'return base.mark !== undefined && row.commit <= (before ?? this.#commits)',
  },
  {
    name: 'model: a mark says when it was left, and not what had been committed',
    caughtBy: 'property',
    file: 'test/support/simulated-database.ts',
    find: 'return before !== undefined && row.commit <= before',
    replace: 'return before !== undefined',
  },
  {
    name: 'model: equal versions stand for equal values',
    caughtBy: 'property',
    file: 'test/support/simulated-database.ts',
    find: 'held.epoch === epoch && held.value === row.value',
    replace: 'held.epoch === epoch',
  },
  {
    name: 'model: a trigger that changes rows is not told of',
    caughtBy: 'property',
    file: 'test/support/simulated-database.ts',
    find: 'const isAsSent = this.#trigger === undefined\n      answer',
    replace: 'const isAsSent = true\n      answer',
  },
]

export const mutants = [
  ...mistakes.map((mutant) => ({ ...mutant, alsoCaughtBy: 'property' })),
  ...omissions,
  ...models,
  ...statementMutants,
  ...batchMutants,
  ...bindingMutants,
  ...expiryMutants,
  ...invalidationMutants,
  ...leaseMutants,
  ...followerMutants,
  ...nearMutants,
  ...outboxMutants,
  ...queryMutants,
  {
    name: 'a later write is taken for the row of an earlier one that is kept',
    caughtBy: 'pending-writes',
    file: 'src/core/writes/pending-writes.ts',
    find: `must not replace what this one has left.
    this.doubt(id)`,
    replace: `must not replace what this one has left.
    const kept = this.#writes.get(id)
    if (kept) this.#writes.set(id, { ...kept, mayHaveHappened: true, outcomes: [value === undefined ? undefined : { value }] })`,
  },
  {
    name: 'a write that will never pass is kept',
    caughtBy: 'outage',
    file: 'src/core/writes/direct-writes.ts',
    find: 'const willPass = hasCode(error, ...passingErrors)',
    replace: "const willPass = hasCode(error, ...passingErrors, 'forbidden')",
  },
  {
    name: 'what one row is refused for fails its whole batch',
    caughtBy: 'batcher',
    file: 'src/core/batching/bisect.ts',
    find: "  'forbidden',\n",
    replace: '',
  },
  {
    name: 'others of the batch wait for a locked row',
    caughtBy: 'batcher',
    file: 'src/core/batching/batcher.ts',
    find: 'this.#end(locked.length === 0 ? pairs : pairs.filter((pair) => !locked.includes(pair)))',
    replace: 'if (locked.length === 0) this.#end(pairs)',
  },
  {
    name: 'an answer that finds nothing tells no history',
    caughtBy: 'negative-entries',
    file: 'src/core/state/cache-state.ts',
    find: 'if (!this.#mayPut(flight, answer.epoch) || !this.#flights.mayPutAbsence',
    replace: 'if (this.#parts.pending.has(id) || !answer.epoch || !this.#flights.mayPutAbsence',
  },
]

/**
 * Mistakes in the algorithm, each as one change to one file. `find` occurs in the file exactly once; where it
 * does not any more, the run fails, and the mutant is to be put where the mistake would now be made.
 *
 * The first eleven are the ones of the design. The others are rules left out that those do not cover.
 */
export const mutants = [
  {
    name: 'no token on fills',
    file: 'src/core/cache.ts',
    find: 'const stored = this.#put(token, {',
    replace: 'const stored = this.#put(this.#openToken(id), {',
  },
  {
    name: 'a token that outlives a reconnect',
    file: 'src/core/flights.ts',
    find: ' && token.generation === feed.generation',
    replace: '',
  },
  {
    name: 'no revalidation',
    file: 'src/core/revalidation.ts',
    find: 'const held = local.versions()',
    replace: 'const held = []',
  },
  {
    // What core can see of it: versions compared before this session's LISTEN count as compared after it. The
    // other place for the mistake, calling `listening` before LISTEN is acknowledged, is in postgres/feed.ts.
    name: 'revalidation before LISTEN',
    file: 'src/core/lease.ts',
    find: "if (this.#state !== 'catching-up' || this.#generation !== generation) return",
    replace: "if (this.#state !== 'catching-up') return",
  },
  {
    name: 'no lease',
    file: 'src/core/cache.ts',
    find: 'if (!this.#lease.holds(nowMs)) return undefined',
    replace: '',
  },
  {
    name: 'lease by time of receipt',
    file: 'src/core/cache.ts',
    find: 'this.#lease.proven(asOfMs)',
    replace: 'this.#lease.proven(this.#clock.now())',
  },
  {
    name: 'any change renews the lease',
    file: 'src/core/cache.ts',
    find: 'this.#stats.changesApplied++',
    replace: 'this.#stats.changesApplied++; this.#lease.proven(this.#clock.now())',
  },
  {
    name: 'a change ignored because its version is lower',
    file: 'src/core/cache.ts',
    find: 'if (entry === undefined || entry.version === version) return',
    replace: 'if (entry === undefined || BigInt(entry.version) >= BigInt(version ?? 1e18)) return',
  },
  {
    name: 'equality without the epoch',
    file: 'src/core/revalidation.ts',
    find: 'if (lastHeard.position(position)) {',
    replace: 'if (lastHeard.position(position) && before === undefined) {',
  },
  {
    name: 'an unconditional put after a write',
    file: 'src/core/cache.ts',
    find: 'this.#put(token, { key, value: sent.value, ...written, remainingMs: undefined })',
    replace:
      'this.#local.put(id, { key, value: sent.value, version: written.version, asOfMs: 0, expiresAtMs: this.#clock.now() + this.#options.ttlMs, bytes: 1 })',
  },
  {
    // The port has no replica to read from, on purpose; the model of the store has one, for who adds it.
    name: 'a fill from a lagging replica',
    file: 'src/core/statements.ts',
    find: 'store.read(',
    replace: 'store.readFromReplica(',
  },

  {
    name: 'a write token taken when the answer is there',
    file: 'src/core/cache.ts',
    find: 'this.#put(token, { key, value: sent.value',
    replace: 'this.#put(this.#openToken(id), { key, value: sent.value',
  },
  {
    name: 'a fill begun before the feed was live puts',
    file: 'src/core/flights.ts',
    find: 'token.live &&',
    replace: '',
  },
  {
    name: 'tokens hear of no change',
    file: 'src/core/flights.ts',
    find: 'token.changes.push(version)',
    replace: 'void token',
  },
  {
    name: 'a token ignores changes with a lower version',
    file: 'src/core/flights.ts',
    find: 'token.changes.every((change) => change === version)',
    replace: 'token.changes.every((change) => change !== undefined && BigInt(change) <= BigInt(version))',
  },
  {
    name: 'a change drops its own entry too',
    file: 'src/core/cache.ts',
    find: 'if (entry === undefined || entry.version === version) return',
    replace: 'if (entry === undefined) return',
  },
  {
    name: 'an unknown outcome leaves the entry',
    file: 'src/core/cache.ts',
    find: 'this.#stats.writesUnknown++\n      this.#apply(id, undefined)',
    replace: 'this.#stats.writesUnknown++',
  },
  {
    name: 'an unknown outcome is kept as if it had not happened',
    file: 'src/core/cache.ts',
    find: "if (!hasCode(error, 'store-unavailable') ||",
    replace: "if (!hasCode(error, 'store-unavailable', 'outcome-unknown') ||",
  },
  {
    name: 'a fill is joined after a change',
    file: 'src/core/flights.ts',
    find: 'this.#fills.delete(id)\n    const tokens',
    replace: 'const tokens',
  },
  {
    name: 'a fill is joined after the feed was lost',
    file: 'src/core/flights.ts',
    find: 'this.#fills.clear()',
    replace: '',
  },
  {
    name: 'a fill is joined however old',
    file: 'src/core/flights.ts',
    find: 'return fill && fill.startedAtMs >= sinceMs ? fill.result : undefined',
    replace: 'return fill?.result',
  },
  {
    name: 'no fill is joined',
    file: 'src/core/cache.ts',
    find: 'if (joinable) {',
    replace: 'if (false) {',
  },
  {
    name: 'a loss of the feed is not a new generation',
    file: 'src/core/lease.ts',
    find: "this.#generation++\n    this.#state = 'down'",
    replace: "this.#state = 'down'",
  },
  {
    name: 'a doubt is not a new generation',
    file: 'src/core/lease.ts',
    find: "this.#generation++\n    if (this.#state === 'live')",
    replace: "if (this.#state === 'live')",
  },
  {
    name: 'live without having caught up',
    file: 'src/core/lease.ts',
    find: "this.#state = 'catching-up'\n    this.#provenOnceCaughtUpMs = asOfMs",
    replace: "this.#state = 'live'\n    this.#asOfMs = asOfMs",
  },
  {
    name: 'a probe counts before the cache has caught up',
    file: 'src/core/lease.ts',
    find: "if (this.#state === 'live') this.#asOfMs = Math.max(this.#asOfMs, asOfMs)",
    replace: "if (this.#state !== 'down') this.#asOfMs = Math.max(this.#asOfMs, asOfMs)",
  },
  {
    name: 'a probe counts though the feed is down',
    file: 'src/core/lease.ts',
    find: "if (this.#state === 'live') this.#asOfMs = Math.max(this.#asOfMs, asOfMs)",
    replace: "if (this.#state !== 'catching-up') this.#asOfMs = Math.max(this.#asOfMs, asOfMs)",
  },
  {
    name: 'a loss of the feed drops everything',
    file: 'src/core/cache.ts',
    find: 'this.#lease.lost()',
    replace: 'this.#lease.lost(); this.#local.clear()',
  },
  {
    name: 'what remains is counted from the answer',
    file: 'src/core/cache.ts',
    find: 'token.openedAtMs + remainingMs - this.#clock.now()',
    replace: 'remainingMs',
  },
  {
    name: 'expiry is not looked at',
    file: 'src/core/cache.ts',
    find: 'if (entry === undefined || entry.expiresAtMs <= nowMs) return undefined',
    replace: 'if (entry === undefined) return undefined',
  },
  {
    name: 'kept writes cross histories',
    file: 'src/core/kept-writes.ts',
    find: 'if (write.epoch !== undefined && write.epoch !== epoch)',
    replace: 'if (false)',
  },
  {
    name: 'a kept write leaves the entry it replaces',
    file: 'src/core/cache.ts',
    find: '      })\n    }\n    this.#apply(id, undefined)',
    replace: '      })\n    }',
  },
  {
    name: 'a kept write forgets what it replaces',
    file: 'src/core/cache.ts',
    find: "return entry ? { kind: 'held', version: entry.version } : this.#lastHeard.unseen",
    replace: 'return this.#lastHeard.unseen',
  },
  {
    name: 'a later kept write takes a new base',
    file: 'src/core/kept-writes.ts',
    find: 'earlier ? { ...earlier, value, afterChanges } : write',
    replace: 'write',
  },
  {
    name: 'a kept write that may have happened is sent as if it had not',
    file: 'src/core/kept-writes.ts',
    find: "hasCode(result.reason, 'outcome-unknown')",
    replace: 'false',
  },
  {
    name: 'a later kept write inherits the doubt about one that has settled',
    file: 'src/core/kept-writes.ts',
    find: '{ ...current, base, mayHaveHappened: false }',
    replace: '{ ...current, base }',
  },
  {
    name: 'a kept write answers the token of a later one',
    file: 'src/core/cache.ts',
    find: 'number !== undefined && number <= kept.afterChanges ? kept : undefined',
    replace: 'kept',
  },
  {
    name: 'a later kept write counts as kept when the first was',
    file: 'src/core/kept-writes.ts',
    find: '{ ...earlier, value, afterChanges }',
    replace: '{ ...earlier, value }',
  },
  {
    name: 'the echo of a write counts as a later change',
    file: 'src/core/recent-changes.ts',
    find: 'if (this.#numbers.has(change)) return',
    replace: '',
  },
  {
    name: 'a later kept write is lost with the earlier one',
    file: 'src/core/kept-writes.ts',
    find: 'if (current === write) this.#writes.delete(id)',
    replace: 'if (current) this.#writes.delete(id)',
  },
  {
    name: 'a kept write outlives a later write',
    file: 'src/core/cache.ts',
    find: 'this.#kept.drop(id)',
    replace: '',
  },
  {
    name: 'a settled write leaves what was read meanwhile',
    file: 'src/core/kept-writes.ts',
    find: 'onSettled(id, version)\n  }',
    replace: '}',
  },
  {
    name: 'a missing answer to a kept write is not a conflict',
    file: 'src/core/kept-writes.ts',
    find: "result.value ?? { kind: 'conflict' }",
    replace: "result.value ?? { kind: 'written', version: undefined }",
  },
  {
    name: 'an entry dropped meanwhile is served in an outage',
    file: 'src/core/cache.ts',
    find: 'if (usable && this.#usable(id) === usable) return',
    replace: 'if (usable) return',
  },
  {
    name: 'a key that is not here is absent in an outage',
    file: 'src/core/cache.ts',
    find: "'unproven')\n      throw error",
    replace: "'unproven')\n      return { value: undefined, ageMs: 0 }",
  },
  {
    name: 'a write of a key does not wait for a kept one on its way',
    file: 'src/core/kept-writes.ts',
    find: 'while (this.#onTheirWay.has(id))',
    replace: 'while (false)',
  },
  {
    name: 'a kept write is sent beside a later write of its key',
    file: 'src/core/kept-writes.ts',
    find: 'else if (!this.#heldBack.has(id)) batch',
    replace: 'else batch',
  },
  {
    name: 'a token is satisfied by any entry',
    file: 'src/core/cache.ts',
    find: 'if (written === undefined || written.epoch !== this.#lastHeard.epoch) return false',
    replace: 'return true',
  },
  {
    name: 'a strong read joins a fill under way',
    file: 'src/core/cache.ts',
    find: "forwarded === 'request' ? undefined : ",
    replace: '',
  },
  {
    name: 'a deaf feed renews the lease',
    file: 'src/core/cache.ts',
    find: "if (this.#unheard.anyBefore(asOfMs)) throw new Error('a write of our own was not announced')",
    replace: '',
  },
  {
    name: 'an answer from another history is put',
    file: 'src/core/cache.ts',
    find: 'epoch !== this.#lastHeard.epoch || !this.#flights',
    replace: '!this.#flights',
  },
]

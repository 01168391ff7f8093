/** Mistakes when several entries are written in one transaction. */

const core = 'src/core/writes/transactional-writes.ts'
const caughtBy = 'transactional-writes'

export const batchMutants = [
  {
    name: 'conditions of a transaction are decided before pending writes',
    caughtBy,
    file: core,
    find: 'await delivery.finish(keyId(key))',
    replace: 'void [delivery, keyId(key)]',
  },
  {
    name: 'an unknown outcome of a transaction counts as none',
    caughtBy,
    file: core,
    find: "if (hasCode(error, 'outcome-unknown')) this.#doubt(writes, nowMs)",
    replace: "if (hasCode(error, 'store-failed')) this.#doubt(writes, nowMs)",
  },
  {
    name: 'an entry that is not as a transaction requires stays in memory',
    caughtBy,
    file: core,
    find: 'this.#parts.state.apply(keyId(key), before)',
    replace: 'void before',
  },
  {
    name: 'a batch is not told which item a deferred constraint refuses',
    caughtBy: 'http/batch',
    tests: 'a constraint refuses when the transaction commits',
    file: 'src/postgres/pool/database.ts',
    find: '; set constraints all immediate',
    replace: '',
  },
  {
    name: 'a delete that a trigger prevents counts as one of a missing entry',
    caughtBy: 'http/batch',
    tests: 'a trigger leaves out or renames',
    file: 'src/core/writes/direct-writes.ts',
    find: 'if (answer?.version === undefined && answer?.isLeftIn) throw',
    replace: "if (answer?.version === undefined && answer?.isLeftIn && id === '') throw",
  },
  {
    name: 'a batch needs no conditions where they are required',
    caughtBy: 'http/batch',
    tests: 'each item needs a condition',
    file: 'src/http/routes/batch/batch-endpoint.ts',
    find: 'if (requiresConditions && !hasCondition(write)) throw',
    replace: 'if (requiresConditions && !hasCondition(write) && options.maxValueBytes < 0) throw',
  },
]

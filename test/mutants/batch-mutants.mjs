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
]

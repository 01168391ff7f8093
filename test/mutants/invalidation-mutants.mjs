/** Mistakes when entries are removed by group or prefix. */

const caughtBy = 'invalidation'
const invalidation = 'src/core/writes/invalidation.ts'

export const invalidationMutants = [
  {
    name: 'what was removed without a name stays in memory',
    caughtBy,
    file: invalidation,
    find: 'if (rows === undefined) state.dropAll()',
    replace: 'if (rows === undefined) void state',
  },
  {
    name: 'a fill that began before a removal is put',
    caughtBy,
    file: 'src/core/state/cache-state.ts',
    find: '    this.#entries.clear()\n    this.#parts.lease.stopFlights()\n',
    replace: '    this.#entries.clear()\n',
  },
  {
    name: 'an unknown outcome of a removal counts as none',
    caughtBy,
    file: invalidation,
    find: "if (hasCode(error, 'outcome-unknown')) this.#apply",
    replace: "if (hasCode(error, 'store-failed')) this.#apply",
  },
  {
    name: 'older pending writes are sent after a removal',
    caughtBy,
    file: invalidation,
    find: '    if (pending.size > 0) await delivery.send()\n',
    replace: '    void pending\n    void delivery\n',
  },
  {
    name: 'a pending write that is selected and could not be sent stays',
    caughtBy,
    file: invalidation,
    find: 'if (isSelected(write, selection)) delivery.drop(id)',
    replace: 'if (isSelected(write, selection)) void [delivery, id]',
  },
  {
    name: 'pending writes are selected by their key only',
    caughtBy,
    file: invalidation,
    find: 'isNamed || groups.some((group) => selection.groups.includes(group))',
    replace: 'isNamed && groups.length >= 0',
  },
]

/** Records who received which change when, and reports it to the parent on request. */
export class HeardChanges {
  #times = new Map()

  note(listener, key, heardMs) {
    const times = this.#times.get(listener)
    if (times) times.push([key, heardMs])
    else this.#times.set(listener, [[key, heardMs]])
  }

  /** `count`: how many there are; `take`: all, which are then forgotten. */
  answerParent() {
    process.on('message', (question) => {
      const all = [...this.#times.values()]
      if (question === 'count') process.send(all.reduce((sum, times) => sum + times.length, 0))
      if (question === 'take') {
        process.send(all)
        this.#times.clear()
      }
    })
    process.on('disconnect', () => process.exit())
    process.send('ready')
  }
}

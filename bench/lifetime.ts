/** Closes everything that has been started in reverse order, whatever happens. */
export class Lifetime {
  readonly #ends: (() => unknown)[] = []

  teardown(end: () => unknown): void {
    this.#ends.push(end)
  }

  /** Idempotent. Rejects with the first error once everything has been tried. */
  async end(): Promise<void> {
    let failure: { readonly error: unknown } | undefined
    for (;;) {
      const end = this.#ends.pop()
      if (end === undefined) break
      try {
        await end()
      } catch (error) {
        failure ??= { error }
      }
    }
    if (failure) throw failure.error
  }
}

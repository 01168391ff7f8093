/** Number of keys whose tokens are remembered. Each takes about 200 bytes. */
const maxTokens = 10_000
/**
 * Time for which a token is sent. Afterwards, every sidecar that can prove anything has heard of the write, because the
 * bound on staleness is far shorter. The token of a delete that found nothing makes every read ask the primary, so it
 * must not be kept for ever.
 */
const tokenMs = 60_000

/** The tokens of the last writes of this client, by which it reads what it has written, at any sidecar (P11). */
export class SessionTokens {
  readonly #nowMs: () => number
  readonly #tokens = new Map<string, { readonly token: string; readonly untilMs: number }>()

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  add(key: string, token: string): void {
    this.#tokens.delete(key)
    this.#tokens.set(key, { token, untilMs: this.#nowMs() + tokenMs })
    for (const oldest of this.#tokens.keys()) {
      if (this.#tokens.size <= maxTokens) break
      this.#tokens.delete(oldest)
    }
  }

  of(key: string): string | undefined {
    const kept = this.#tokens.get(key)
    if (kept === undefined || kept.untilMs > this.#nowMs()) return kept?.token
    this.#tokens.delete(key)
    return undefined
  }
}

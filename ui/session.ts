import type { ViewAnswers, WriteAnswer } from '../src/http/ops/page/view-data.js'

/** Time after which a request counts as lost. Checks of a database that does not answer take a while. */
const timeoutMs = 60_000

/** The sidecar's answer to a request that failed, in words. */
export class Refusal extends Error {}

/** Requests to the sidecar, with the token that was entered. The token is kept in memory only. */
export class Session {
  #token: string | undefined

  get headers(): Readonly<Record<string, string>> {
    return this.#token === undefined ? {} : { Authorization: `Bearer ${this.#token}` }
  }

  get hasToken(): boolean {
    return this.#token !== undefined
  }

  useToken(token: string): void {
    this.#token = token
  }

  /** Returns the data of a view. Rejects with a Refusal. */
  async get<Name extends keyof ViewAnswers>(
    name: Name,
    query: Readonly<Record<string, string>> = {},
  ): Promise<ViewAnswers[Name]> {
    const search = new URLSearchParams(query).toString()
    const url = search === '' ? name : `${name}?${search}`
    return this.#ask(url, { headers: this.headers }, 'The sidecar does not answer.')
  }

  /** Changes a key. `body` is JSON. Rejects with a Refusal. */
  async post(action: 'set' | 'delete' | 'drop', body: string): Promise<WriteAnswer> {
    const headers = { ...this.headers, 'Content-Type': 'application/json' }
    return this.#ask(
      action,
      { method: 'POST', headers, body },
      'The sidecar does not answer. Search for the key to see whether it was changed.',
    )
  }

  async #ask<Answer>(url: string, request: RequestInit, silence: string): Promise<Answer> {
    const signal = AbortSignal.timeout(timeoutMs)
    const asking = async () => {
      const response = await fetch(url, { ...request, signal, cache: 'no-store' })
      return { isOk: response.ok, body: await response.json() }
    }
    const { isOk, body } = await asking().catch(() => {
      throw new Refusal(silence)
    })
    if (!isOk) throw new Refusal(`${body.detail}.`)
    return body
  }
}

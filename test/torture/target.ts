import { Agent, type OutgoingHttpHeaders, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Tally } from './tally.js'

/** Token with which the requests of these loads authenticate. */
export const token = 'the-token-of-the-torture-run'
const authorization = `Authorization: Bearer ${token}\r\n`

const answerTimeoutMs = 60_000

/** The sidecar as one load uses it, with connections and a tally of its own. */
export class Target {
  readonly #load: string
  readonly #port: number
  readonly #tally: Tally
  readonly #agent: Agent
  #isClosed = false

  constructor(load: string, port: number, tally: Tally) {
    this.#load = load
    this.#port = port
    this.#tally = tally
    this.#agent = new Agent({ keepAlive: true, maxSockets: 400 })
  }

  /** Ends requests under way, and lets later ones end at once. They are not counted. */
  close(): void {
    this.#isClosed = true
    this.#agent.destroy()
  }

  get(key: string, headers: OutgoingHttpHeaders = {}): Promise<void> {
    return this.#send('GET', `/cache/get?key=${encodeURIComponent(key)}`, headers)
  }

  set(key: string, valueText: string, headers: OutgoingHttpHeaders = {}): Promise<void> {
    const json = { 'Content-Type': 'application/json', ...headers }
    return this.#send('POST', '/cache/set', json, `{"key":${JSON.stringify(key)},"value":${valueText}}`)
  }

  delete(key: string): Promise<void> {
    return this.#send('DELETE', `/cache/delete?key=${encodeURIComponent(key)}`, {})
  }

  /** Resolves whatever becomes of it. The body of the response is dropped. */
  #send(method: string, path: string, headers: OutgoingHttpHeaders, body?: string): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    return new Promise((resolve) => {
      let status: number | undefined
      const sent = request({
        host: '127.0.0.1',
        port: this.#port,
        agent: this.#agent,
        method,
        path,
        headers: { Authorization: `Bearer ${token}`, ...headers },
        timeout: answerTimeoutMs,
      })
      sent.on('timeout', () => sent.destroy())
      sent.on('error', () => undefined)
      sent.on('response', (response) => {
        status = response.statusCode
        response.resume().on('error', () => undefined)
      })
      sent.on('close', () => {
        if (this.#isClosed) return resolve()
        if (status === undefined) this.#tally.unanswered(this.#load)
        else this.#tally.answered(this.#load, status)
        resolve()
      })
      sent.end(body)
    })
  }

  /** Opens a connection that sends this and reads nothing. */
  silent(text: string, isAuthorized = true): Socket {
    const socket = connect(this.#port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.pause()
    socket.write(isAuthorized ? text.replaceAll('Host: localhost\r\n', `$&${authorization}`) : text)
    return socket
  }
}

import type { ServerResponse } from 'node:http'
import type { ChangeLog } from '../../../core/changes/change-log.js'
import type { EventTexts } from './event-texts.js'

/** Bytes that wait to be sent, from which on nothing more is written until the client has read them. */
const maxWaitingBytes = 16 * 1024
/** Length of one write. */
export const pieceLength = 16 * 1024
/** Memory that a stream takes at most. */
export const maxStreamBytes = maxWaitingBytes + pieceLength

/** A question of a client, which the stream answers from then on. */
export interface Question {
  readonly text: string
  /** Time at which it arrived, by the sidecar's monotonic clock, in ms. */
  readonly askedMs: number
}

export interface ChangeStreamOptions {
  /** Beginning of the keys that are wanted. */
  readonly prefix: string
  readonly log: ChangeLog
  readonly texts: EventTexts
  /** Returns the answer to a question, as it is at this moment. */
  readonly proofText: (question: Question) => string
  /** Called if the client is cut off, because changes that it has not read are forgotten. */
  readonly onCutOff: () => void
}

/**
 * One client that follows the changes. It has a place in the log, and gets more only as fast as it reads. So a slow
 * client takes no memory. Once the log has forgotten what comes next, the client is cut off.
 */
export class ChangeStream {
  readonly #options: ChangeStreamOptions
  readonly #response: ServerResponse
  /** Number of the last change that was written. */
  #written: number
  #generation: number
  #question: Question | undefined
  /** The question, while its next answer has not been written. */
  #owed: Question | undefined

  constructor(response: ServerResponse, options: ChangeStreamOptions) {
    this.#response = response
    this.#options = options
    this.#written = options.log.last
    this.#generation = options.log.generation
    response.on('drain', () => this.advance())
  }

  /** Begins with an event that names the stream, and what came after `seen`; undefined if that is not known. */
  begin(opening: string, seen: number | undefined): void {
    const { texts } = this.#options
    this.#response.write(opening)
    if (seen === undefined) this.#response.write(texts.gap())
    else this.#written = seen
    this.advance()
  }

  /** Answers the question from now on, each time that `prove` is called. */
  ask(question: Question): void {
    this.#question = question
    this.prove()
  }

  /** Answers the question as soon as everything before has been written. Returns false if there is no question. */
  prove(): boolean {
    if (this.#question === undefined) return false
    this.#owed = this.#question
    this.advance()
    return true
  }

  /** Writes what the client has not got yet, as far as it has read what was written before. */
  advance(): void {
    const { log, texts, prefix, proofText, onCutOff } = this.#options
    while (this.#written < log.last) {
      const isForgotten = this.#generation === log.generation && !log.has(this.#written)
      if (isForgotten && !this.#response.destroyed) {
        this.#response.destroy()
        onCutOff()
      }
      if (this.#isFull) return
      const piece = texts.after(this.#written, prefix)
      this.#generation = log.generation
      const { text, last } = piece ?? { text: texts.gap(), last: log.last }
      this.#written = last
      if (text !== '') this.#response.write(text)
    }
    const question = this.#owed
    if (question === undefined || this.#isFull) return
    this.#owed = undefined
    this.#response.write(texts.heartbeat() + proofText(question))
  }

  /** Shows that the stream is alive, and where to resume it. */
  comment(): void {
    if (this.#written === this.#options.log.last && !this.#isFull)
      this.#response.write(this.#options.texts.heartbeat())
  }

  end(): void {
    this.#response.end()
  }

  get #isFull(): boolean {
    return this.#response.writableLength > maxWaitingBytes || this.#response.destroyed
  }
}

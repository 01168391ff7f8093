import type { IncomingMessage } from 'node:http'
import { z } from 'zod'
import type { Cache } from '../../../../core/cache.js'
import { CacheError } from '../../../../core/errors.js'
import type { Log } from '../../../../core/ports.js'
import { keyHash } from '../../../../core/state/key-hash.js'
import { withBody } from '../../../routes/body.js'
import { parseObject } from '../../../routes/body-object.js'
import { RequestError } from '../../../routes/problem.js'
import { checked } from '../../../routes/schemas/checked.js'
import { key } from '../../../routes/schemas/fields.js'
import { setRequest } from '../../../routes/set-request.js'
import type { RequestBodies } from '../../../server/request-bodies.js'
import type { WriteAnswer } from '../view-data.js'

export interface PageWritesSources {
  readonly cache: Pick<Cache, 'set' | 'delete' | 'drop'>
  /** Makes every sidecar that listens drop a key. Rejects with a CacheError. */
  readonly dropEverywhere: (key: string) => Promise<void>
  /** Returns true while the data listener accepts requests, too. */
  readonly isServing: () => boolean
  readonly keys: 'on' | 'hash'
  readonly maxValueBytes: number
  readonly bodies: RequestBodies
  readonly log: Log
}

type WriteName = 'set' | 'delete' | 'drop'

/** A write that has been checked, and not begun. */
interface Checked {
  readonly key: string
  readonly run: () => Promise<WriteAnswer['outcome']>
}

const deleteBody = z.strictObject({ key })
const dropBody = z.strictObject({ key, everywhere: z.boolean('must be true or false') })

/** Changes that a person makes on the page, by the same way through the cache as those of the application. */
export class PageWrites {
  readonly #sources: PageWritesSources
  readonly #running = new Set<Promise<unknown>>()
  readonly #checks: Readonly<Record<WriteName, (bytes: Buffer) => Checked>> = {
    set: (bytes) => this.#set(bytes),
    delete: (bytes) => this.#delete(bytes),
    drop: (bytes) => this.#drop(bytes),
  }

  constructor(sources: PageWritesSources) {
    this.#sources = sources
  }

  has(name: string): name is WriteName {
    return Object.hasOwn(this.#checks, name)
  }

  /** Makes the change in the body of a request, and logs it. Rejects with a RequestError or a CacheError. */
  write(name: WriteName, request: IncomingMessage): Promise<WriteAnswer> {
    const { maxValueBytes: maxBytes, bodies, isServing } = this.#sources
    return withBody(request, { maxBytes, bodies }, async (bytes) => {
      const { key, run } = this.#checks[name](bytes)
      if (!isServing())
        throw new RequestError(
          503,
          'The sidecar is starting or shutting down: nothing was changed',
          'not-serving',
        )
      const running = this.#logged(name, key, run, request.socket.remoteAddress)
      this.#running.add(running)
      return { outcome: await running.finally(() => this.#running.delete(running)) }
    })
  }

  /** Resolves when no change is under way. */
  async finished(): Promise<void> {
    await Promise.allSettled(this.#running)
  }

  #set(bytes: Buffer): Checked {
    const { key, value, options } = setRequest(bytes)
    const run = async () =>
      (await this.#sources.cache.set(key, value, options)).written ? 'written' : 'pending'
    return { key, run }
  }

  #delete(bytes: Buffer): Checked {
    const { body } = parseObject(bytes, Object.keys(deleteBody.shape), 'a delete')
    const { key } = checked(deleteBody, body)
    const run = async () => {
      const { stored, token } = await this.#sources.cache.delete(key)
      return token === undefined ? 'pending' : stored ? 'deleted' : 'absent'
    }
    return { key, run }
  }

  #drop(bytes: Buffer): Checked {
    const { cache, dropEverywhere } = this.#sources
    const { body } = parseObject(bytes, Object.keys(dropBody.shape), 'a drop')
    const { key, everywhere } = checked(dropBody, body)
    const run = async () => {
      if (everywhere) await dropEverywhere(key)
      const wasHeld = cache.drop(key)
      return everywhere ? 'dropped-everywhere' : wasHeld ? 'dropped' : 'not-held'
    }
    return { key, run }
  }

  async #logged(action: WriteName, key: string, run: Checked['run'], from: string | undefined) {
    const { keys, log } = this.#sources
    const fields = { action, from, ...(keys === 'on' ? { key } : { keyHash: keyHash(key) }) }
    try {
      const outcome = await run()
      log.info({ ...fields, outcome }, 'a key was changed on the page')
      return outcome
    } catch (error) {
      if (error instanceof CacheError)
        log.warn({ ...fields, reason: error.code }, 'a key could not be changed on the page')
      throw error
    }
  }
}

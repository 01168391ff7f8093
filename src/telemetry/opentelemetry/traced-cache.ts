import { type Attributes, type Span, SpanStatusCode, type Tracer } from '@opentelemetry/api'
import { Cache, type CacheOptions, type CacheParts } from '../../core/cache.js'
import type { Entry, Value } from '../../core/entry.js'
import { CacheError } from '../../core/errors.js'
import type { Content } from '../../core/media-type.js'
import type { ChangeOptions, WriteOptions } from '../../core/ports.js'
import type { Admit } from '../../core/reads/bulk-reads.js'
import type { ReadOptions, ReadResult } from '../../core/reads/read-result.js'
import type { ChangeResult, DeleteResult, WriteResult } from '../../core/writes/write-result.js'
import { below, type SpanScope } from './span-scope.js'

/** A cache that records, in a span of the request, how it came to its answer. It never records the key. */
export class TracedCache extends Cache {
  readonly #tracer: Tracer
  readonly #requests: SpanScope

  constructor(tracer: Tracer, requests: SpanScope, options: CacheOptions, parts: CacheParts) {
    super(options, parts)
    this.#tracer = tracer
    this.#requests = requests
  }

  override hit(key: string, nowMs?: number): Entry | undefined {
    const entry = super.hit(key, nowMs)
    if (entry) this.#start('cache get', { 'caching_layer.source': 'cache' })?.end()
    return entry
  }

  override get(key: string, options?: ReadOptions): Promise<ReadResult> {
    return this.#within(
      'cache get',
      () => super.get(key, options),
      (read) => ({
        'caching_layer.source': read.forwarded === undefined ? 'cache' : 'db',
        'caching_layer.found': read.value !== undefined,
        ...(read.forwarded && { 'caching_layer.forwarded': read.forwarded }),
        ...(read.stale && { 'caching_layer.stale': read.stale }),
        ...(read.stored && { 'caching_layer.stored': true }),
        ...(read.collapsed && { 'caching_layer.coalesced': true }),
      }),
    )
  }

  override getMany(
    keys: readonly string[],
    options: ReadOptions,
    admit: Admit,
    nowMs?: number,
  ): Promise<readonly ReadResult[]> {
    return this.#within(
      'cache get many',
      () => super.getMany(keys, options, admit, nowMs),
      (reads) => ({
        'caching_layer.source': reads.some(({ forwarded }) => forwarded !== undefined) ? 'db' : 'cache',
        'caching_layer.keys': reads.length,
        'caching_layer.keys_found': reads.filter(({ value }) => value !== undefined).length,
      }),
    )
  }

  override set(key: string, value: Value, options?: WriteOptions): Promise<WriteResult> {
    return this.#within(
      'cache set',
      () => super.set(key, value, options),
      ({ written }) => ({
        'caching_layer.written': written,
      }),
    )
  }

  override delete(key: string): Promise<DeleteResult> {
    return this.#within(
      'cache delete',
      () => super.delete(key),
      ({ held, stored }) => ({
        'caching_layer.held': held,
        'caching_layer.stored': stored,
      }),
    )
  }

  override change(key: string, content: Content | undefined, options?: ChangeOptions): Promise<ChangeResult> {
    return this.#within(
      content ? 'cache set' : 'cache delete',
      () => super.change(key, content, options),
      (result) => ({
        'caching_layer.written': result.kind === 'written',
        ...(options?.condition && { 'caching_layer.condition_met': result.kind !== 'unmet' }),
      }),
    )
  }

  /** Starts a span; returns undefined if the call belongs to no request. */
  #start(name: string, attributes: Attributes = {}): Span | undefined {
    const parent = this.#requests.span
    return parent && this.#tracer.startSpan(name, { attributes }, below(parent))
  }

  async #within<T>(name: string, run: () => Promise<T>, describe: (result: T) => Attributes): Promise<T> {
    const span = this.#start(name)
    if (span === undefined) return run()
    try {
      const result = await this.#requests.run(span, run)
      span.setAttributes(describe(result))
      return result
    } catch (error) {
      span.setAttribute('error.type', error instanceof CacheError ? error.code : 'failed')
      span.setStatus({ code: SpanStatusCode.ERROR })
      throw error
    } finally {
      span.end()
    }
  }
}

import { validateHeaderValue } from 'node:http'
import { validateKey } from '../../../src/core/state/validate-key.js'
import type {
  ClientOptions,
  ComputeOptions,
  DeleteOptions,
  NearOptions,
  ReadOptions,
  RequestOptions,
  Selection,
  WatchOptions,
  WriteOptions,
} from './api.js'
import { CachingLayerError } from './caching-layer-error.js'
import type { StandardSchema } from './standard-schema.js'

/**
 * Checks of what the application passes, because JavaScript does not, and types can be wrong. All throw a
 * CachingLayerError of the kind `invalid-value`. Its detail begins with the name of the argument.
 */

/** `CACHE_CAPACITY` has the same limit: the library allocates memory for each entry at once. */
const maxEntries = 100_000_000
/** Limits of the sidecar. */
const maxLeaseSeconds = 300
const maxWaitSeconds = 999_999_999
const maxTtlSeconds = 1_000_000_000

export function invalidValue(name: string, reason: string, cause?: unknown): CachingLayerError {
  return new CachingLayerError({ kind: 'invalid-value', detail: `${name}: ${reason}`, cause })
}

function mustBe(name: string, expected: string, given: unknown): CachingLayerError {
  return invalidValue(name, `must be ${expected}, but is ${shown(given)}`)
}

function shown(given: unknown): string {
  if (given === undefined) return 'missing'
  if (typeof given === 'string') return JSON.stringify(given.slice(0, 50))
  if (typeof given === 'object' && given !== null) return Array.isArray(given) ? 'an array' : 'an object'
  return typeof given === 'function' ? 'a function' : String(given)
}

// --- Parts ---

function checkObject(name: string, given: unknown): void {
  if (typeof given !== 'object' || given === null) throw mustBe(name, 'an object', given)
}

/** A misspelt option would be ignored: an entry with `ttl` instead of `ttlSeconds` would never expire. */
function checkMembers(given: object, known: readonly string[], prefix = ''): void {
  for (const name in given)
    if (!known.includes(name) && (given as Record<string, unknown>)[name] !== undefined)
      throw invalidValue(prefix + name, `unknown option; there are ${known.join(', ')}`)
}

export function checkText(name: string, given: unknown): asserts given is string {
  if (typeof given !== 'string') throw mustBe(name, 'a string', given)
}

function checkArray(name: string, given: unknown): void {
  if (!Array.isArray(given)) throw mustBe(name, 'an array', given)
}

function checkWhole(name: string, given: unknown, least: number, most?: number): void {
  const isWithin = Number.isInteger(given) && (given as number) >= least
  if (!isWithin || (given as number) > (most ?? Number.MAX_SAFE_INTEGER))
    throw mustBe(name, `a whole number from ${least} ${most === undefined ? 'on' : `to ${most}`}`, given)
}

/** Infinity is a time without a limit. */
function checkMs(name: string, given: unknown): void {
  if (typeof given !== 'number' || !(given > 0)) throw mustBe(name, 'a number greater than 0', given)
}

function checkHeader(name: string, given: unknown): void {
  checkText(name, given)
  try {
    validateHeaderValue(name, given)
  } catch (cause) {
    throw invalidValue(name, 'contains a character that no header can have', cause)
  }
}

function checkSignal({ signal }: Pick<RequestOptions, 'signal'>): void {
  if (signal !== undefined && typeof (signal as AbortSignal | null)?.addEventListener !== 'function')
    throw mustBe('signal', 'an AbortSignal', signal)
}

export function checkKey(given: unknown, name = 'key'): asserts given is string {
  checkText(name, given)
  const fault = validateKey(given)
  if (fault !== undefined) throw invalidValue(name, fault)
}

export function checkKeys(given: unknown): void {
  checkArray('keys', given)
  for (const key of given as unknown[]) checkKey(key, 'keys')
}

/** A list of strings of RFC 9651 has only printable ASCII. */
function checkGroups(groups: unknown): void {
  checkArray('groups', groups)
  for (const group of groups as unknown[]) {
    checkText('groups', group)
    if (!/^[ -~]+$/.test(group)) throw invalidValue('groups', 'must be of printable ASCII, and not empty')
  }
}

// --- Options ---

export function checkClient(options: ClientOptions): void {
  checkObject('options', options)
  checkMembers(options, ['url', 'token', 'timeoutMs', 'maxConnections', 'near'])
  const { url, token, timeoutMs, maxConnections, near } = options
  const parsed = typeof url === 'string' && URL.canParse(url) ? new URL(url) : undefined
  const { protocol = '', search, username, password } = parsed ?? {}
  if (!/^https?:$/.test(protocol) || search || username || password)
    throw invalidValue(
      'url',
      'expected an http or https URL without user and query, such as http://127.0.0.1:8025',
    )
  if (token !== undefined) checkHeader('token', token)
  if (timeoutMs !== undefined) checkMs('timeoutMs', timeoutMs)
  if (maxConnections !== undefined) checkWhole('maxConnections', maxConnections, 1)
  if (near !== undefined) checkNear(near)
}

function checkNear(near: NearOptions): void {
  checkObject('near', near)
  checkMembers(near, ['maxEntries', 'maxBytes', 'ttlMs'], 'near.')
  checkWhole('near.maxEntries', near.maxEntries, 1, maxEntries)
  checkWhole('near.maxBytes', near.maxBytes, 1)
  if (near.ttlMs !== undefined) checkMs('near.ttlMs', near.ttlMs)
}

const ofRequests = ['signal', 'timeoutMs']
const ofReads = [...ofRequests, 'consistency', 'schema']
const ofDeletes = [...ofRequests, 'ifMatch', 'ifNoneMatch']
const ofWrites = [...ofDeletes, 'ttlSeconds', 'groups', 'contentType']
const ofComputing = [...ofRequests, 'ttlSeconds', 'groups', 'leaseSeconds', 'waitSeconds', 'schema']

export function checkRequest(options: RequestOptions, known = ofRequests): void {
  checkObject('options', options)
  checkMembers(options, known)
  checkSignal(options)
  if (options.timeoutMs !== undefined) checkMs('timeoutMs', options.timeoutMs)
}

export function checkRead(options: ReadOptions & { readonly schema?: unknown }): void {
  checkRequest(options, ofReads)
  const { consistency, schema } = options
  if (consistency !== undefined && consistency !== 'bounded' && consistency !== 'strong')
    throw mustBe('consistency', '"bounded" or "strong"', consistency)
  checkSchema(schema)
}

function checkSchema(schema: unknown): void {
  if (schema === undefined) return
  const { validate } = (schema as StandardSchema | null)?.['~standard'] ?? {}
  if (typeof validate !== 'function') throw mustBe('schema', 'a Standard Schema', schema)
}

export function checkDelete(options: DeleteOptions): void {
  checkRequest(options, ofDeletes)
  checkConditions(options)
}

export function checkWrite(options: WriteOptions): void {
  checkRequest(options, ofWrites)
  checkStored(options)
  checkConditions(options)
  const { contentType } = options
  if (contentType === undefined) return
  checkHeader('contentType', contentType)
  // The sidecar takes an empty one for none, and a text would be read as bytes.
  if (contentType.trim() === '') throw mustBe('contentType', 'a media type', contentType)
}

function checkConditions(options: DeleteOptions): void {
  for (const name of ['ifMatch', 'ifNoneMatch'] as const)
    if (options[name] !== undefined) checkHeader(name, options[name])
}

function checkStored({ ttlSeconds, groups }: Pick<WriteOptions, 'ttlSeconds' | 'groups'>): void {
  if (ttlSeconds !== undefined) checkWhole('ttlSeconds', ttlSeconds, 1, maxTtlSeconds)
  if (groups !== undefined) checkGroups(groups)
}

export function checkCompute(
  compute: unknown,
  options: ComputeOptions & { readonly schema?: unknown },
): void {
  if (typeof compute !== 'function') throw mustBe('compute', 'a function', compute)
  checkRequest(options, ofComputing)
  checkStored(options)
  const { leaseSeconds, waitSeconds, schema } = options
  if (leaseSeconds !== undefined) checkWhole('leaseSeconds', leaseSeconds, 1, maxLeaseSeconds)
  if (waitSeconds !== undefined) checkWhole('waitSeconds', waitSeconds, 0, maxWaitSeconds)
  checkSchema(schema)
}

export function checkSelection(selection: Selection): void {
  checkObject('selection', selection)
  checkMembers(selection, ['keys', 'groups', 'prefix'])
  const { keys, groups, prefix } = selection
  if (keys !== undefined) checkKeys(keys)
  if (groups !== undefined) {
    checkArray('groups', groups)
    for (const group of groups) checkText('groups', group)
  }
  if (prefix !== undefined) checkKey(prefix, 'prefix')
  if (!keys?.length && !groups?.length && prefix === undefined)
    throw invalidValue('selection', 'must have keys, groups or a prefix')
}

export function checkWatch(options: WatchOptions): void {
  checkObject('options', options)
  checkMembers(options, ['prefix', 'signal'])
  checkSignal(options)
  // An empty one is that of all keys.
  if (options.prefix !== undefined && options.prefix !== '') checkKey(options.prefix, 'prefix')
}

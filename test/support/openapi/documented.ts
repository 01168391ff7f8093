import type { ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { Answer } from '../json-client.js'

export interface DocumentedOperation {
  readonly id: string
  readonly method: string
  /** Template, such as `/v1/entries/{key}`. */
  readonly path: string
  readonly parameters: readonly DocumentedParameter[]
  readonly body?: Content
  readonly responses: Readonly<Record<string, DocumentedResponse>>
}

export interface DocumentedParameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly schema: object
  readonly example?: string
}

interface DocumentedResponse {
  readonly headers?: Readonly<Record<string, { readonly required?: boolean; readonly schema: object }>>
  readonly content?: Content
}

export type Content = Readonly<Record<string, { readonly schema?: object }>>

/** An OpenAPI document as `JSON.parse` returns it. */
export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, RawOperation>>>>
  readonly components: {
    readonly responses: Readonly<Record<string, DocumentedResponse>>
    readonly schemas: Readonly<Record<string, object>>
  }
}

interface RawOperation {
  readonly operationId: string
  readonly parameters: readonly DocumentedParameter[]
  readonly requestBody?: { readonly content: Content }
  readonly responses: Readonly<Record<string, DocumentedResponse & { readonly $ref?: string }>>
}

/** Headers of any response, which describe its transmission. */
const ofTransmission = new Set([
  'connection',
  'content-length',
  'content-type',
  'date',
  'keep-alive',
  'transfer-encoding',
  'x-content-type-options',
])

/** The operations of an OpenAPI document, and a judge of responses to them. */
export class Documented {
  readonly operations: readonly DocumentedOperation[]
  readonly #components: OpenApi['components']
  readonly #compiled = new Map<object, ValidateFunction>()

  constructor({ paths, components }: OpenApi) {
    this.#components = components
    this.operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { operationId: id, parameters, requestBody, responses }]) => ({
        id,
        method: method.toUpperCase(),
        path,
        parameters,
        ...(requestBody && { body: requestBody.content }),
        responses: Object.fromEntries(
          Object.entries(responses).map(([status, response]) => [status, this.#resolved(response)]),
        ),
      })),
    )
  }

  operation(id: string): DocumentedOperation {
    const found = this.operations.find((operation) => operation.id === id)
    if (found === undefined) throw new Error(`no operation ${id}`)
    return found
  }

  /** Returns everything in a response that the document does not declare. */
  faults({ method, responses }: DocumentedOperation, answer: Answer): string[] {
    const { status, headers, text } = answer
    const response = responses[status]
    if (response === undefined) return [`status ${status}: ${text.slice(0, 200)}`]
    const found: string[] = []
    const declared = Object.entries(response.headers ?? {}).map(
      ([name, header]) => [name.toLowerCase(), header] as const,
    )
    for (const [name, { required = false, schema }] of declared) {
      const value = headers[name]
      if (value === undefined && required) found.push(`${status}: no ${name}`)
      if (value !== undefined) found.push(...this.schemaFaults(schema, value).map((f) => `${name}: ${f}`))
    }
    const names = new Set(declared.map(([name]) => name))
    for (const name of Object.keys(headers))
      if (!names.has(name) && !ofTransmission.has(name)) found.push(`${status}: undeclared header ${name}`)
    if (method !== 'HEAD') found.push(...this.#contentFaults(response.content, answer))
    return found
  }

  #contentFaults(content: Content | undefined, { status, headers, text }: Answer): string[] {
    const type = headers['content-type']
    if (content === undefined) return text === '' ? [] : [`${status}: undeclared content`]
    if (type === undefined) return [`${status}: no content`]
    if ('*/*' in content) return []
    const { schema } = content[type.replace(/;.*/, '')] ?? {}
    if (schema === undefined) return [`${status}: undeclared type ${type}`]
    return this.schemaFaults(schema, type.startsWith('text/') ? text : JSON.parse(text))
  }

  schemaFaults(schema: object, value: unknown): string[] {
    const validate = this.#compiled.get(schema) ?? this.#compile(schema)
    if (validate(value)) return []
    return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`)
  }

  #compile(schema: object): ValidateFunction {
    const ajv = new Ajv2020({ strict: false, validateFormats: false })
    const validate = ajv.compile({ ...schema, components: this.#components })
    this.#compiled.set(schema, validate)
    return validate
  }

  #resolved(response: DocumentedResponse & { readonly $ref?: string }): DocumentedResponse {
    const name = response.$ref?.split('/').at(-1)
    return name === undefined ? response : (this.#components.responses[name] as DocumentedResponse)
  }
}

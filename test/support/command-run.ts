import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { Command, CommandInput } from '../../src/cli/command.js'
import type { Owner } from './database.js'

export interface Asked {
  readonly method: string
  readonly path: string
  readonly authorization?: string | undefined
  readonly cacheControl?: string | undefined
  readonly body?: unknown
}

/** A response of a fake listener: JSON with status 200, or another status, or another text. */
export type FakeAnswer = object | { readonly status: number; readonly text: string }

/** Starts a listener that answers with JSON, and records what it was asked. */
export async function fakeListener(t: Owner, answer: (asked: Asked) => FakeAnswer | Promise<FakeAnswer>) {
  const asked: Asked[] = []
  const server = createServer(async (request, response) => {
    const body = await text(request)
    const { authorization, 'cache-control': cacheControl } = request.headers
    const one = {
      method: request.method ?? '',
      path: request.url ?? '',
      ...(authorization !== undefined && { authorization }),
      ...(cacheControl !== undefined && { cacheControl }),
      ...(body !== '' && { body: JSON.parse(body) as unknown }),
    }
    asked.push(one)
    const given = await answer(one)
    const { status, text: plain } = 'text' in given ? given : { status: 200, text: JSON.stringify(given) }
    response.writeHead(status as number).end(plain)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

/** Runs a command in this process. Resolves with its exit code and its output. */
export async function commandRun(
  command: Command,
  {
    flags = [],
    values = {},
    ...input
  }: Partial<Omit<CommandInput, 'flags' | 'values'>> & {
    readonly flags?: readonly string[]
    readonly values?: Readonly<Record<string, string>>
  },
) {
  const out: string[] = []
  const notes: string[] = []
  const progress: string[] = []
  const code = await command.run({
    flags: new Set(flags),
    values: new Map(Object.entries(values)),
    lists: new Map(Object.entries(values).map(([name, value]) => [name, [value]])),
    positionals: [],
    environment: {},
    stop: new AbortController().signal,
    out: (line) => out.push(line),
    note: (line) => notes.push(line),
    progress: (line) => progress.push(line),
    onHangup: () => undefined,
    isTerminal: false,
    stdin: () => new PassThrough().end(),
    stdout: () => new PassThrough(),
    ...input,
  })
  return { code, out, notes, progress }
}

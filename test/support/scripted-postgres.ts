import type { Socket } from 'node:net'
import { BackendMessages, typeOf } from './backend-messages.js'
import type { Owner } from './database.js'
import { scriptedServer } from './scripted-server.js'

/** Rows, an error with its SQLSTATE, or undefined for no answer at all. */
export type ScriptedAnswer =
  | readonly Readonly<Record<string, string | null>>[]
  | { readonly code: string; readonly message: string; readonly file?: string }
  | undefined

export interface Script {
  /** Returns the reason why the server refuses a connection, by the text of its startup. */
  readonly refuse?: (startup: string) => string | undefined
  /** Returns the answer to a statement, also if it is one of several in a query. */
  readonly answer?: (statement: string) => ScriptedAnswer
}

export interface ScriptedPostgres {
  readonly url: string
  /** Texts with which connections began. */
  readonly startups: readonly string[]
  readonly statements: readonly string[]
  /** All connections that ever were. */
  readonly sockets: readonly Socket[]
  /** Sends a notification to all connections. */
  notify(channel: string, payload: string): void
}

/** Starts a server that speaks the protocol of PostgreSQL, as far as the script needs it. */
export async function scriptedPostgres(
  t: Owner,
  { refuse = () => undefined, answer = () => [] }: Script = {},
): Promise<ScriptedPostgres> {
  const startups: string[] = []
  const statements: string[] = []
  const streams = new Map<Socket, BackendMessages>()
  const send = (socket: Socket, text: string) => socket.write(text, 'latin1')
  const start = (socket: Socket, text: string) => {
    if (!text.includes('user\0')) return socket.end()
    startups.push(text)
    const reason = refuse(text)
    if (reason !== undefined) return socket.end(failure('FATAL', '08P01', reason), 'latin1')
    streams.set(socket, new BackendMessages())
    return send(socket, message('R', int32(0)) + ready)
  }
  const { port, sockets } = await scriptedServer(t, (socket, text) => {
    const stream = streams.get(socket)
    if (stream === undefined) return start(socket, text)
    for (const one of stream.take(Buffer.from(text, 'latin1'))) {
      const type = typeOf(one)
      if (type === 'X') socket.end()
      // A query, or the name and the text of a statement with parameters.
      if (type !== 'Q' && type !== 'P') continue
      const statement = one.toString('utf8', 5).split('\0')[type === 'Q' ? 0 : 1] ?? ''
      statements.push(statement)
      const parts = type === 'Q' ? statement.split(/;\s*/).filter((part) => part !== '') : [statement]
      const answers = parts.map(answer)
      if (answers.includes(undefined)) continue
      const prepared = type === 'P' ? message('1') + message('2') : ''
      const empty = parts.length === 0 ? message('I') : ''
      const texts = (answers as NonNullable<ScriptedAnswer>[]).map(answerOf)
      send(socket, prepared + empty + texts.join('') + ready)
    }
    return undefined
  })
  return {
    url: `postgresql://app@127.0.0.1:${port}/db`,
    startups,
    statements,
    sockets,
    notify: (channel, payload) => {
      for (const socket of streams.keys()) send(socket, message('A', `${int32(1)}${channel}\0${payload}\0`))
    },
  }
}

function answerOf(answer: NonNullable<ScriptedAnswer>): string {
  if ('code' in answer) return failure('ERROR', answer.code, answer.message, answer.file)
  const names = Object.keys(answer[0] ?? {})
  const text = 25
  const columns = names.map(
    (name) => `${name}\0${int32(0)}${int16(0)}${int32(text)}${int16(-1)}${int32(-1)}${int16(0)}`,
  )
  const rows = answer.map((row) =>
    message('D', int16(names.length) + names.map((name) => cell(row[name] ?? null)).join('')),
  )
  return message('T', int16(names.length) + columns.join('')) + rows.join('') + message('C', 'SELECT\0')
}

function cell(text: string | null): string {
  return text === null ? int32(-1) : int32(text.length) + text
}

function failure(severity: string, code: string, text: string, file?: string): string {
  const source = file === undefined ? '' : `F${file}\0Rroutine\0`
  return message('E', `S${severity}\0V${severity}\0C${code}\0M${text}\0${source}\0`)
}

function message(type: string, body = ''): string {
  return type + int32(body.length + 4) + body
}

function int16(value: number): string {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes.toString('latin1')
}

function int32(value: number): string {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes.toString('latin1')
}

const ready = message('Z', 'I')

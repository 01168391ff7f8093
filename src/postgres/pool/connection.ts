import type { EventEmitter } from 'node:events'
import { Socket } from 'node:net'
import pg from 'pg'
import { parse, toClientConfig } from 'pg-connection-string'
import pgPass from 'pgpass'
import { currentUrl, readTrimmed } from '../../connection-url/connection-source.js'
import {
  type ConnectionUrl,
  isLocal,
  parseConnectionUrl,
  statesEncryption,
} from '../../connection-url/connection-url.js'
import { PublicError } from '../../core/errors.js'

/** Settings of one connection. */
export interface ConnectionSettings {
  readonly config: pg.ClientConfig
  /** Watches how the server asks for the password. Called with the connection before it connects. */
  readonly attach: (connection: EventEmitter) => void
}

/** Authentication method that the server has asked for. */
interface Asked {
  isCleartext: boolean
  isBoundToChannel: boolean
}

/**
 * Returns the settings for one connection. Files with the URL or the password are read again each time, so a rotated
 * secret needs no restart. Throws if the URL cannot be read or parsed.
 */
export function connectionSettings(source: string): ConnectionSettings {
  const text = currentUrl(source)
  const url = parseConnectionUrl(text)
  const { parameters } = url
  // The driver handles certificates and sslmode, and copies all parameters of the URL into its configuration. It knows
  // neither connect_timeout nor channel_binding, so these are translated here.
  const { password, host, ...fromUrl } = toClientConfig(parse(text))
  const connectTimeout = parameters.get('connect_timeout')
  const asked: Asked = { isCleartext: false, isBoundToChannel: false }
  const isBinding = parameters.get('channel_binding') === 'require'
  return {
    config: {
      ...fromUrl,
      ...(url.host !== '' && { host: url.host }),
      ...(url.database !== '' && { database: url.database }),
      ...(connectTimeout !== undefined && { connectionTimeoutMillis: Number(connectTimeout) * 1_000 }),
      ...(['prefer', 'require'].includes(parameters.get('channel_binding') ?? '') && {
        enableChannelBinding: true,
      }),
      ...passwordOf(url, asked, isBinding),
    },
    attach: (connection) => {
      connection.prependListener('authenticationCleartextPassword', () => {
        asked.isCleartext = true
      })
      connection.prependListener(
        'authenticationSASL',
        ({ mechanisms }: { mechanisms: readonly string[] }) => {
          asked.isBoundToChannel = mechanisms.includes('SCRAM-SHA-256-PLUS')
        },
      )
      connection.prependListener('authenticationOk', () => {
        if (isBinding && !asked.isBoundToChannel) connection.emit('error', new PublicError(unbound))
      })
    },
  }
}

/** Creates a client for the source. Settings of the source take precedence over `options`. */
export function newClient(source: string, options: pg.ClientConfig): pg.Client {
  return new (clientClass(source))(options)
}

/** Creates and connects a client. The caller must end it. */
export async function openClient(source: string, options: pg.ClientConfig): Promise<pg.Client> {
  const client = newClient(source, options)
  try {
    await client.connect()
    return client
  } catch (error) {
    // Not awaited: a connection that was refused within TLS never emits its end.
    client.end().catch(() => undefined)
    throw error
  }
}

/**
 * Returns a class of clients that read the source again for each connection. While the source cannot be read, the last
 * settings apply; if it was never readable, the clients fail to connect.
 */
export function clientClass(source: string): typeof pg.Client {
  let last: ConnectionSettings | undefined
  const renewed = (): ConnectionSettings => {
    try {
      last = connectionSettings(source)
      return last
    } catch (error) {
      // A secret that is being replaced is missing for a moment. A pool cannot handle an error of a constructor.
      return last ?? { config: { stream: () => unconnectable(error as Error) }, attach: () => undefined }
    }
  }
  renewed()
  return class extends pg.Client {
    constructor(options?: pg.ClientConfig | string) {
      const { config, attach } = renewed()
      super({ ...(options as pg.ClientConfig), ...config })
      attach((this as unknown as { readonly connection: EventEmitter }).connection)
      // If the connection is lost between two statements, the next statement reports it. Without a listener, the event
      // would end the process.
      this.on('error', () => undefined)
    }
  }
}

/** Returns a socket that fails to connect, with this error. */
function unconnectable(error: Error): Socket {
  const socket = new Socket()
  socket.connect = () => socket.destroy(error)
  return socket
}

const cleartext =
  'the server asks for the password in clear text, and the connection is not encrypted: ' +
  'set sslmode=verify-full, or sslmode=disable to send it'
const unbound = 'channel_binding=require: the server does not offer SCRAM-SHA-256-PLUS'

// pgpass would print a warning at every attempt, between the JSON lines of the log. `noPassword` names the mode that it
// wants.
pgPass.warnTo(undefined)

const noPassword =
  'the server asks for a password, and none was given: set it in DATABASE_URL, DATABASE_PASSWORD_FILE or PGPASSWORD, ' +
  'or in PGPASSFILE (mode 0600, with a line for this host, port, database and user)'

/**
 * Returns where the password comes from: the URL, its password file, PGPASSWORD, or PGPASSFILE, in this order. Files
 * are read for each connection.
 */
function passwordOf(url: ConnectionUrl, asked: Asked, isBinding: boolean): Pick<pg.ClientConfig, 'password'> {
  const file = url.parameters.get('password_file')
  const given = url.password !== '' ? url.password : file === undefined ? process.env.PGPASSWORD : undefined
  const mayBeClear = isLocal(url) || statesEncryption(url) || process.env.PGSSLMODE !== undefined
  return {
    // Called after the server has asked for a password, with the parameters of the connection.
    password: async (parameters?: Parameters<typeof pgPass>[0]) => {
      if (asked.isCleartext && !mayBeClear) throw new PublicError(cleartext)
      if (isBinding && !asked.isBoundToChannel) throw new PublicError(unbound)
      if (given !== undefined) return given
      if (file !== undefined) return readTrimmed(file)
      const found = parameters && (await new Promise<string | undefined>((done) => pgPass(parameters, done)))
      if (found === undefined) throw new PublicError(noPassword)
      return found
    },
  }
}

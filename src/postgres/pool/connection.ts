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

/** What one connection is made with. */
export interface ConnectionSettings {
  readonly config: pg.ClientConfig
  /** Watches how the server asks for the password. Called with the connection before it connects. */
  readonly attach: (connection: EventEmitter) => void
}

/** How the server has asked for the password. */
interface Asked {
  isCleartext: boolean
  isBoundToChannel: boolean
}

/**
 * Returns the settings for one connection, with URL and password as their files have them now: a rotated secret needs no
 * restart. Throws if the URL cannot be had.
 */
export function connectionSettings(source: string): ConnectionSettings {
  const text = currentUrl(source)
  const url = parseConnectionUrl(text)
  const { parameters } = url
  // Certificates and sslmode are the driver's business. It knows neither of these, and takes what is in the URL for more than that.
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

/** As `new pg.Client`, with what the source says going before the options. */
export function newClient(source: string, options: pg.ClientConfig): pg.Client {
  return new (clientClass(source))(options)
}

/**
 * Returns a class of clients that read the source anew for each connection. While that fails, they are made with what it said
 * last, and cannot connect if it never said anything.
 */
export function clientClass(source: string): typeof pg.Client {
  let last: ConnectionSettings | undefined
  const renewed = (): ConnectionSettings => {
    try {
      last = connectionSettings(source)
      return last
    } catch (error) {
      // A secret that is being replaced is missing for a moment. A pool has no way to take an error from a constructor.
      return last ?? { config: { stream: () => unconnectable(error as Error) }, attach: () => undefined }
    }
  }
  renewed()
  return class extends pg.Client {
    constructor(options?: pg.ClientConfig | string) {
      const { config, attach } = renewed()
      super({ ...(options as pg.ClientConfig), ...config })
      attach((this as unknown as { readonly connection: EventEmitter }).connection)
    }
  }
}

/** A socket that fails to connect, with this error. */
function unconnectable(error: Error): Socket {
  const socket = new Socket()
  socket.connect = () => socket.destroy(error)
  return socket
}

const cleartext =
  'the server asks for the password in clear text, and the connection is not encrypted: set sslmode=verify-full, or sslmode=disable to send it'
const unbound = 'channel_binding=require: the server does not offer SCRAM-SHA-256-PLUS'

// It would warn at every attempt, in the midst of the JSON lines of the log. `noPassword` names the mode that it asks for.
pgPass.warnTo(undefined)

const noPassword =
  'the server asks for a password, and none was given: set it in DATABASE_URL, DATABASE_PASSWORD_FILE or PGPASSWORD, or in ' +
  'PGPASSFILE (mode 0600, with a line for this host, port, database and user)'

/** As every client: the password of the URL, the one in its file, PGPASSWORD, or PGPASSFILE, which is read for each connection. */
function passwordOf(url: ConnectionUrl, asked: Asked, isBinding: boolean): Pick<pg.ClientConfig, 'password'> {
  const file = url.parameters.get('password_file')
  const given = url.password !== '' ? url.password : file === undefined ? process.env.PGPASSWORD : undefined
  const mayBeClear = isLocal(url) || statesEncryption(url) || process.env.PGSSLMODE !== undefined
  return {
    // Called after the server has asked, with what it connects with.
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

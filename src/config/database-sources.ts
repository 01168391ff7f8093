import { currentUrl, fileSource, readTrimmed, withPasswordFile } from '../connection-url/connection-source.js'
import { isLocal, parseConnectionUrl, statesEncryption } from '../connection-url/connection-url.js'
import { separateUrls } from '../connection-url/separate-urls.js'
import type { Config } from './config.js'
import type { Environment } from './environment.js'

type Sources = Pick<Config, 'databaseUrl' | 'databaseListenUrl' | 'databaseReadUrls'>

interface Given {
  readonly config: Config
  /** Returns true if the setting was given a value. */
  readonly isGiven: (name: keyof Config) => boolean
  readonly onFault: (fault: string) => void
}

/**
 * Returns the sources of connections, with the files that contain URLs and the password. Each file is read once to
 * check it.
 */
export function databaseSources({ config, isGiven, onFault }: Given): Sources {
  const attempt = <T>(variable: string, read: () => T, otherwise: T): T => {
    try {
      return read()
    } catch (error) {
      onFault(`${variable}: ${(error as Error).message}`)
      return otherwise
    }
  }
  const { databaseUrlFile, databaseListenUrlFile, databaseReadUrlFile, databasePasswordFile } = config
  const inFile = (variable: string, path: string, isAlsoGiven: boolean): readonly string[] => {
    if (isAlsoGiven) onFault(`${variable}_FILE: cannot be set together with ${variable}`)
    return attempt(`${variable}_FILE`, () => {
      const urls = separateUrls(readTrimmed(path))
      for (const url of urls) parseConnectionUrl(url)
      return urls.map((_, index) => fileSource(path, index))
    }, [])
  }
  const withPassword = (source: string) =>
    databasePasswordFile === undefined ? source : withPasswordFile(source, databasePasswordFile)
  if (databasePasswordFile !== undefined)
    attempt('DATABASE_PASSWORD_FILE', () => readTrimmed(databasePasswordFile), '')

  const [url = config.databaseUrl] =
    databaseUrlFile === undefined ? [] : inFile('DATABASE_URL', databaseUrlFile, isGiven('databaseUrl'))
  const databaseUrl = withPassword(url)
  const [listenUrl] =
    databaseListenUrlFile === undefined
      ? isGiven('databaseListenUrl')
        ? [config.databaseListenUrl]
        : []
      : inFile('DATABASE_LISTEN_URL', databaseListenUrlFile, isGiven('databaseListenUrl'))
  const readUrls =
    databaseReadUrlFile === undefined
      ? config.databaseReadUrls
      : inFile('DATABASE_READ_URL', databaseReadUrlFile, isGiven('databaseReadUrls'))
  return {
    databaseUrl,
    databaseListenUrl: listenUrl === undefined ? databaseUrl : withPassword(listenUrl),
    databaseReadUrls: readUrls.map(withPassword),
  }
}

/** Returns one warning for all connections over a network whose URL does not say whether they are encrypted. */
export function unencryptedWarning(sources: Sources, { PGSSLMODE }: Environment): string | undefined {
  const { databaseUrl, databaseListenUrl, databaseReadUrls } = sources
  const hosts = [databaseUrl, databaseListenUrl, ...databaseReadUrls]
    .map((source) => parseConnectionUrl(currentUrl(source)))
    .filter((url) => !isLocal(url) && !statesEncryption(url))
    .map(({ host }) => host)
  if (hosts.length === 0 || PGSSLMODE) return undefined
  const names = [...new Set(hosts)].join(', ')
  return `the connection to ${names} is not encrypted: its URL has no sslmode; set verify-full, or disable`
}

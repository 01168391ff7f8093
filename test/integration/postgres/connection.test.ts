import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig } from '../../../src/config/load.js'
import { ListenSession } from '../../../src/postgres/feed/listen-session.js'
import { clientClass, newClient } from '../../../src/postgres/pool/connection.js'
import { Database } from '../../../src/postgres/pool/database.js'
import { scriptedServer } from '../../support/scripted-server.js'

/** A message of the server. */
function message(type: string, body: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length + 4)
  return Buffer.concat([Buffer.from(type), length, body])
}

function authentication(code: number, text = ''): Buffer {
  const number = Buffer.alloc(4)
  number.writeInt32BE(code)
  return message('R', Buffer.concat([number, Buffer.from(text)]))
}

const askForPassword = {
  cleartext: authentication(3),
  scram: authentication(10, 'SCRAM-SHA-256\0\0'),
  none: authentication(0),
}

/** A server that asks for a password, notes what it is sent, and refuses it. */
async function passwordServer(t: Test, how: keyof typeof askForPassword = 'cleartext') {
  const passwords: string[] = []
  const { port } = await scriptedServer(t, (socket, text) => {
    if (text.startsWith('p')) {
      passwords.push(text.slice(5, -1))
      socket.end(message('E', Buffer.from('SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed\0\0')))
    } else if (!text.startsWith('X')) socket.write(askForPassword[how])
  })
  return { port, passwords }
}

const silent = { info: () => undefined, warn: () => undefined }

async function connecting(source: string): Promise<string> {
  const client = newClient(source, { connectionTimeoutMillis: 5_000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return ''
  } catch (error) {
    return (error as Error).message
  } finally {
    client.end().catch(() => undefined)
  }
}

t.test('a secret that is replaced in its file applies to every later connection', async (t) => {
  const { port, passwords } = await passwordServer(t)
  const folder = t.testdir()
  const [urlFile, passwordFile] = [join(folder, 'a url'), join(folder, 'password')]
  const rotate = (password: string) => {
    writeFileSync(urlFile, `postgresql://app:${password}@127.0.0.1:${port}/db\n`)
    writeFileSync(passwordFile, `${password}\n`)
  }
  rotate('first')
  const url = `postgresql://app@127.0.0.1:${port}/db`
  for (const [environment, configured] of Object.entries({
    'the URL': {
      DATABASE_URL_FILE: urlFile,
      DATABASE_LISTEN_URL_FILE: urlFile,
      DATABASE_READ_URL_FILE: urlFile,
    },
    'the password': { DATABASE_URL: url, DATABASE_READ_URL: url, DATABASE_PASSWORD_FILE: passwordFile },
  })) {
    const { config } = loadConfig(configured)
    const sources = [config.databaseUrl, config.databaseListenUrl, ...config.databaseReadUrls]
    t.equal(sources.length, 3)
    const databases = sources.map(
      (source) => new Database({ url: source, poolSize: 1, timeoutMs: 5_000, log: silent }),
    )
    for (const password of ['first', 'second']) {
      rotate(password)
      passwords.length = 0
      for (const database of databases) await t.rejects(database.read('select'))
      for (const source of sources) {
        const session = new ListenSession({
          url: source,
          connectTimeoutMs: 5_000,
          onNotification: () => undefined,
        })
        await t.rejects(session.open())
        session.destroy()
      }
      t.same(passwords, Array(6).fill(password), `${environment}: ${password}`)
    }
    rotate('first')
  }
})

t.test('while the file is missing, a pool uses its last content', async (t) => {
  const { port, passwords } = await passwordServer(t)
  const folder = t.testdir({ url: `postgresql://app:last@127.0.0.1:${port}/db` })
  const Client = clientClass(`file://${join(folder, 'url')}?index=0`)
  writeFileSync(join(folder, 'url'), '')
  await t.rejects(new Client({}).connect())
  t.same(passwords, ['last'])
})

t.test('a file that could never be read prevents connections, with a reason', async (t) => {
  const Client = clientClass('file:///nowhere/url?index=0')
  await t.rejects(new Client({}).connect(), /nowhere\/url: cannot be read/)
  const database = new Database({
    url: 'postgres://a@127.0.0.1/b?sslrootcert=/nowhere/ca',
    poolSize: 1,
    timeoutMs: 5_000,
    log: silent,
  })
  for (const _ of [1, 2, 3]) await t.rejects(database.read('select'), /no connection to the database: ENOENT/)
})

t.test('no password is sent in clear text over a network unless the URL allows it', async (t) => {
  const { port, passwords } = await passwordServer(t)
  // 0.0.0.0 leads here, and is not known to.
  t.match(await connecting(`postgresql://app:s3cret@0.0.0.0:${port}/db`), /in clear text.*sslmode/)
  t.same(passwords, [])
  t.match(
    await connecting(`postgresql://app:s3cret@0.0.0.0:${port}/db?sslmode=disable`),
    /authentication failed/,
  )
  t.match(await connecting(`postgresql://app:s3cret@127.0.0.1:${port}/db`), /authentication failed/)
  t.same(passwords, ['s3cret', 's3cret'])
})

t.test('channel_binding=require is enforced', async (t) => {
  for (const how of ['cleartext', 'scram', 'none'] as const) {
    const { port, passwords } = await passwordServer(t, how)
    const message = await connecting(`postgresql://app:s3cret@127.0.0.1:${port}/db?channel_binding=require`)
    t.match(message, /channel_binding=require/, how)
    t.same(passwords, [])
  }
})

t.test('connect_timeout is respected', async (t) => {
  const { port } = await scriptedServer(t, () => undefined)
  const client = newClient(`postgresql://app@127.0.0.1:${port}/db?connect_timeout=1`, {
    connectionTimeoutMillis: 600_000,
  })
  await t.rejects(client.connect(), /timeout expired/)
})

t.test('no password from PGPASSFILE is sent in clear text either', async (t) => {
  const { port, passwords } = await passwordServer(t)
  const file = join(t.testdir(), 'pgpass')
  writeFileSync(file, '*:*:*:app:s3cret\n', { mode: 0o600 })
  process.env.PGPASSFILE = file
  t.teardown(() => delete process.env.PGPASSFILE)
  t.match(await connecting(`postgresql://app@0.0.0.0:${port}/db`), /in clear text.*sslmode/)
  t.same(passwords, [])
  t.match(await connecting(`postgresql://app@127.0.0.1:${port}/db`), /authentication failed/)
  t.same(passwords, ['s3cret'])
})

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Bench } from '../bench.js'
import { freePort } from '../free-port.js'
import { installed } from '../installed.js'
import { profilerOf } from '../profile.js'
import { startProgram, untilListening } from '../program.js'

/** Something else that answers, on the server's core. */
export interface Peer {
  readonly port: number
  /** Process ids of the peer. */
  readonly pids: readonly number[]
}

type Owner = Pick<Bench, 'teardown' | 'profileFolder'>

/** Sends Content-Type and Content-Length, what Node adds (Date, Connection, Keep-Alive), and what is given. */
export function nodeHttp(
  owner: Owner,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Peer> {
  return script(owner, 'node-http.mjs', { BODY: body, HEADERS: JSON.stringify(headers) })
}

/** Answers `/cache/get?key=foo` from a Map. */
export function koaMap(owner: Owner, value: string): Promise<Peer> {
  return script(owner, 'koa-map.mjs', { VALUE: value })
}

/** Runs the statement, with key and value as its parameters, for each `POST` of both. */
export function nodeHttpPg(owner: Owner, databaseUrl: string, statement: string): Promise<Peer> {
  return script(owner, 'node-http-pg.mjs', { DATABASE_URL: databaseUrl, STATEMENT: statement })
}

/** Reads no HTTP: it measures the limit of its clients. */
export function raw(owner: Owner, body: string): Promise<Peer> {
  return script(owner, 'raw.mjs', { BODY: body })
}

async function script(
  owner: Owner,
  name: string,
  environment: Readonly<Record<string, string>>,
): Promise<Peer> {
  const port = await freePort()
  const path = fileURLToPath(new URL(name, import.meta.url))
  const { child } = startProgram(owner, [process.execPath, ...profilerOf(owner.profileFolder, name), path], {
    on: 'server',
    environment: { ...environment, PORT: String(port), NODE_ENV: 'production' },
  })
  await untilListening(port, child)
  return { port, pids: [child.pid as number] }
}

/**
 * Redis behind Webdis, both on the server's core; `value` is under each of the keys, to be asked for as `/GET/KEY`.
 */
export async function webdis(
  owner: Owner,
  value: string,
  keys: readonly string[] = ['foo'],
): Promise<Peer | string> {
  const [redis, front] = [installed('redis-server'), installed('webdis')]
  if (redis === undefined) return 'redis-server is not installed'
  if (front === undefined) return 'webdis is not installed'
  const folder = await temporaryFolder(owner)
  const [redisPort, port] = [await freePort(), await freePort()]
  const args = [
    '--port',
    String(redisPort),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    '--dir',
    folder,
  ]
  const redisServer = startProgram(owner, [redis, ...args], { on: 'server' })
  await untilListening(redisPort, redisServer.child)
  const config = join(folder, 'webdis.json')
  await writeFile(
    config,
    JSON.stringify({
      redis_host: '127.0.0.1',
      redis_port: redisPort,
      http_host: '127.0.0.1',
      http_port: port,
      threads: 1,
      daemonize: false,
      database: 0,
      acl: [],
      verbosity: 0,
      logfile: join(folder, 'webdis.log'),
    }),
  )
  const { child } = startProgram(owner, [front, config], { on: 'server' })
  await untilListening(port, child)
  for (const key of keys) {
    const answer = await fetch(`http://127.0.0.1:${port}/SET/${key}/${encodeURIComponent(value)}`)
    if (!(await answer.text()).includes('OK')) throw new Error('Webdis took no value')
  }
  return { port, pids: [redisServer.child.pid as number, child.pid as number] }
}

/** One process that sends the same body from its configuration. */
export async function nginx(owner: Owner, body: string): Promise<Peer | string> {
  const program = installed('nginx')
  if (program === undefined) return 'nginx is not installed'
  const folder = await temporaryFolder(owner)
  const port = await freePort()
  const config = join(folder, 'nginx.conf')
  await writeFile(
    config,
    `daemon off; master_process off; pid ${folder}/pid; error_log stderr crit; ${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path ${folder}; proxy_temp_path ${folder}; fastcgi_temp_path ${folder};
  uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
  server {
    listen 127.0.0.1:${port};
    location / { default_type "application/json; charset=utf-8"; return 200 '${body}'; }
  }
}`,
  )
  const { child } = startProgram(owner, [program, '-c', config, '-p', folder], { on: 'server' })
  await untilListening(port, child)
  return { port, pids: [child.pid as number] }
}

async function temporaryFolder(owner: Owner): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'caching-layer-peer-'))
  owner.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

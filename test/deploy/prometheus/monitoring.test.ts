import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Ajv2019 } from 'ajv/dist/2019.js'
import t from 'tap'
import { parse, stringify } from 'yaml'
import { plainRules, plainRulesFile, prometheusRuleFile } from '../../../scripts/plain-rules.js'
import { promtool, withoutPromtool } from '../../support/promtool.js'
import { metricsIn } from './promql.js'

interface Rule {
  readonly record?: string
  readonly alert?: string
  readonly expr: string
  readonly labels?: { readonly severity?: string }
  readonly annotations?: { readonly summary?: string; readonly description?: string }
}

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly expr: string }[]
}

const folder = 'k8s/components/monitoring'
const guidePage = 'docs/how-to/monitor.md'
const { spec } = parse(await readFile(`${folder}/prometheus-rule.yaml`, 'utf8')) as {
  spec: { groups: { name: string; rules: Rule[] }[] }
}
const rules = spec.groups.flatMap((group) => group.rules)
const dashboard = JSON.parse(await readFile(`${folder}/dashboard.json`, 'utf8')) as {
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: unknown }[] }
}

/**
 * Metrics that an expression may select: docs/reference/metrics.md has exactly what is exposed, which metrics.test.ts
 * makes sure of.
 */
// Prometheus itself has "up" and "ALERTS".
const selectable = new Set(['up', 'ALERTS', ...rules.flatMap(({ record }) => record ?? [])])
for (const [, name, type] of (await readFile('docs/reference/metrics.md', 'utf8')).matchAll(
  /^\| `(\w+)` *\| (\w+)/gm,
)) {
  for (const part of type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''])
    selectable.add(`${name}${part}`)
}

/** The metrics in it that there are not. */
const unknownIn = (expression: string) => metricsIn(expression).filter((name) => !selectable.has(name))

t.test('the names in an expression are found', async (t) => {
  t.same(
    metricsIn(
      'sum by (job) (rate(a_total{b="c", d=~"e|f"}[5m])) / on (pod) g:h:i > 0.5 * avg_over_time(j[1d] offset 1h)',
    ),
    ['a_total', 'g:h:i', 'j'],
  )
  t.same(
    metricsIn('histogram_quantile(0.99, sum by (le) (rate(a_bucket[$__rate_interval]))) and (b) < Inf'),
    ['a_bucket', 'b'],
  )
  t.same(unknownIn('rate(caching_layer_hits[5m])'), ['caching_layer_hits'])
})

t.test('every rule uses metrics that there are, and says what is the matter', async (t) => {
  t.ok(selectable.size > 40)
  const names = rules.map(({ alert, record }) => alert ?? record)
  t.equal(new Set(names).size, rules.length)
  for (const { alert, expr, labels, annotations } of rules) {
    t.same(unknownIn(expr), [], expr)
    if (alert === undefined) continue
    t.match(alert, /^CachingLayer[A-Z]/)
    t.match(labels?.severity, /^(warning|critical)$/)
    t.match(annotations, { summary: /^\S.*\.$/, description: /^\S.*\.$/ })
  }
})

t.test('the plain rules are those of the PrometheusRule', async (t) => {
  const written = await readFile(plainRulesFile, 'utf8')
  t.equal(written, plainRules(await readFile(prometheusRuleFile, 'utf8')), 'npm run docs:rules')
})

t.test('the guide names every alert', async (t) => {
  const guide = await readFile(guidePage, 'utf8')
  const named = [...guide.matchAll(/^\| `(\w+)` /gm)].map(([, name]) => name).sort()
  t.same(named, rules.flatMap(({ alert }) => alert ?? []).sort())
})

t.test('the configuration in the guide is one', { skip: withoutPromtool }, async (t) => {
  const [, configuration = ''] = /```yaml\n(rule_files[^`]+)```/.exec(await readFile(guidePage, 'utf8')) ?? []
  const place = await mkdtemp(join(tmpdir(), 'caching-layer-prometheus-'))
  t.teardown(() => rm(place, { recursive: true, force: true }))
  await copyFile(plainRulesFile, join(place, 'rules.yml'))
  await writeFile(join(place, 'prometheus.yml'), configuration)
  t.match(promtool(['check', 'config', join(place, 'prometheus.yml')]), { code: 0, said: /rules found/ })
})

t.test('every alert fires when it should, and only then', { skip: withoutPromtool }, async (t) => {
  const place = await mkdtemp(join(tmpdir(), 'caching-layer-rules-'))
  t.teardown(() => rm(place, { recursive: true, force: true }))
  const tests = join(place, 'rules.test.yaml')
  await copyFile('test/deploy/prometheus/rules.test.yaml', tests)
  const write = (groups: unknown) => writeFile(join(place, 'rules.yaml'), stringify({ groups }))
  const undescribed = spec.groups.map((group) => ({
    ...group,
    rules: group.rules.map(({ annotations, ...rule }) => ({
      ...rule,
      ...(annotations && { annotations: { summary: annotations.summary } }),
    })),
  }))
  await write(undescribed)
  t.match(promtool(['check', 'rules', join(place, 'rules.yaml')]), { code: 0 })
  t.match(promtool(['test', 'rules', tests]), { code: 0, said: /SUCCESS/ })

  // Were they never to fire, each of them would be missed.
  const silent = undescribed.map((group) => ({
    ...group,
    rules: group.rules.map((rule) => (rule.alert ? { ...rule, expr: 'vector(1) > 2' } : rule)),
  }))
  await write(silent)
  const { said } = promtool(['test', 'rules', tests])
  const untested = rules.filter(({ alert }) => alert && !said.includes(`alertname: ${alert},`))
  t.same(untested, [])
})

const target = {
  type: 'object',
  required: ['refId', 'expr', 'datasource', 'legendFormat'],
  properties: {
    refId: { pattern: '^[A-Z]$' },
    expr: { type: 'string', pattern: 'namespace=~"\\$namespace", job=~"\\$job", pod=~"\\$pod"' },
    datasource: { const: { type: 'prometheus', uid: '$datasource' } },
  },
}

/** The part of Grafana's dashboard model that this one uses. */
const schema = {
  type: 'object',
  required: ['uid', 'title', 'schemaVersion', 'panels', 'templating', 'time'],
  additionalProperties: false,
  properties: {
    uid: { type: 'string', pattern: '^[a-z-]{1,40}$' },
    title: { type: 'string', minLength: 1 },
    tags: { type: 'array', items: { type: 'string' } },
    schemaVersion: { type: 'integer', minimum: 36 },
    editable: { type: 'boolean' },
    refresh: { type: 'string', pattern: '^\\d+[sm]$' },
    time: { type: 'object', required: ['from', 'to'] },
    annotations: { type: 'object' },
    templating: { type: 'object', required: ['list'], properties: { list: { type: 'array', minItems: 1 } } },
    panels: {
      type: 'array',
      items: {
        type: 'object',
        required: ['id', 'type', 'title', 'gridPos'],
        properties: {
          id: { type: 'integer', minimum: 1 },
          title: { type: 'string', minLength: 1 },
          type: { enum: ['row', 'stat', 'timeseries'] },
          gridPos: {
            type: 'object',
            required: ['x', 'y', 'w', 'h'],
            properties: {
              x: { type: 'integer', minimum: 0 },
              w: { type: 'integer', minimum: 1, maximum: 24 },
            },
          },
          targets: { type: 'array', minItems: 1, items: target },
        },
        if: { properties: { type: { const: 'row' } } },
        else: {
          required: ['targets', 'datasource', 'fieldConfig', 'options'],
          properties: {
            datasource: { const: { type: 'prometheus', uid: '$datasource' } },
            fieldConfig: {
              properties: { defaults: { type: 'object', required: ['unit'] } },
              required: ['defaults'],
            },
          },
        },
      },
    },
  },
}

/** The pairs of panels that lie on each other. */
function overlaps(panels: readonly Panel[]): string[] {
  return panels.flatMap((a, index) =>
    panels
      .slice(index + 1)
      .filter(
        ({ gridPos: b }) =>
          a.gridPos.x < b.x + b.w &&
          b.x < a.gridPos.x + a.gridPos.w &&
          a.gridPos.y < b.y + b.h &&
          b.y < a.gridPos.y + a.gridPos.h,
      )
      .map((b) => `${a.title}, ${b.title}`),
  )
}

t.test('the dashboard', async (t) => {
  const validate = new Ajv2019({ strict: false }).compile(schema)
  t.ok(validate(dashboard), JSON.stringify(validate.errors))
  const { panels, templating } = dashboard
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length, 'every id is there once')
  t.same(overlaps(panels), [])
  t.ok(panels.every(({ gridPos: { x, w } }) => x + w <= 24))
  t.match(templating.list[0], { name: 'datasource', type: 'datasource', query: 'prometheus' })
  const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
  t.ok(expressions.length > 30)
  for (const expression of expressions) t.same(unknownIn(expression), [], expression)
  const variables = new Set(templating.list.map(({ name }) => name))
  const used = JSON.stringify(dashboard).matchAll(/\$\{?([a-z]\w*)/g)
  for (const [, name] of used) t.ok(variables.has(name as string), `$${name} is a variable`)

  const wrong = structuredClone(dashboard) as unknown as { panels: { targets: { expr: string }[] }[] }
  const last = wrong.panels.at(-1)?.targets[0] as { expr: string }
  last.expr = 'up'
  t.notOk(validate(wrong), 'an expression that selects everybody is found')
})

t.test('the expressions of the dashboard are PromQL', { skip: withoutPromtool }, async (t) => {
  const place = await mkdtemp(join(tmpdir(), 'caching-layer-dashboard-'))
  t.teardown(() => rm(place, { recursive: true, force: true }))
  const file = join(place, 'rules.yaml')
  const check = async (expressions: readonly string[]) => {
    const rules = expressions.map((expr, index) => ({
      record: `panel:${index}`,
      expr: expr.replaceAll('$__rate_interval', '1m'),
    }))
    await writeFile(file, stringify({ groups: [{ name: 'dashboard', rules }] }))
    return promtool(['check', 'rules', file])
  }
  const expressions = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
  t.match(await check(expressions), { code: 0 })
  t.match(await check(['sum(rate(caching_layer_hits_total[1m])']), { code: 1 })
})

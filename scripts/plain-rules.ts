import { parse, stringify } from 'yaml'

export const prometheusRuleFile = 'k8s/components/monitoring/prometheus-rule.yaml'
export const plainRulesFile = 'k8s/components/monitoring/rules.yml'

const heading = `# The alerts for a Prometheus without an operator: name this file under rule_files.
# \`npm run docs:rules\` writes it from prometheus-rule.yaml.
`

/** Returns the rules of a PrometheusRule, given as YAML, as a file of rules for Prometheus itself. */
export function plainRules(prometheusRule: string): string {
  const { spec } = parse(prometheusRule) as { readonly spec: unknown }
  return heading + stringify(spec, { lineWidth: 120 })
}

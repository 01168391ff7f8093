/** `npm run docs:rules`: writes the alerts of the PrometheusRule as a file for a Prometheus without an operator. */
import { readFile, writeFile } from 'node:fs/promises'
import { plainRules, plainRulesFile, prometheusRuleFile } from './plain-rules.js'

await writeFile(plainRulesFile, plainRules(await readFile(prometheusRuleFile, 'utf8')))

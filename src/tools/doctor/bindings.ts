import type pg from 'pg'
import { strangeAnnouncers } from '../../postgres/bindings/announcer-owners.js'
import { bindStatement, isQueryDefinition } from '../../postgres/bindings/binding-definition.js'
import { bindingDefinitions, definedBindings, hasBindings } from '../../postgres/bindings/defined-bindings.js'
import { inTransaction } from '../../postgres/pool/transaction.js'
import { openSchema, quoteIdentifier } from '../../postgres/schema/schema-owner.js'
import { bad, type Finding, ok, runAs, warning } from './finding.js'

/** Checks that the tables of all bindings can be read, and that their changes are announced by code of their owners. */
export async function lookAtBindings(client: pg.Client): Promise<readonly Finding[]> {
  return inTransaction(client, async () => {
    const { name } = await openSchema(client)
    const bindings = await definedBindings(client, name)
    const faulty = bindings.flatMap(({ key, fault }) =>
      fault ? [bad(`binding ${key}`, `${fault.says}: its keys are answered with 503`, fault.cure)] : [],
    )
    const slow = bindings
      .filter(({ isRestored }) => isRestored)
      .map((binding) =>
        warning(
          `binding ${binding.key}`,
          'the database was restored, and its triggers take several times as long as they have to',
          runAs('the owner', bindStatement(undefined, binding)),
        ),
      )
    const findings = [...faulty, ...slow, ...(await lookAtFunctions(client, name))]
    const isFine = findings.length === 0 && bindings.length > 0
    return isFine ? [ok('bindings', `all ${bindings.length} can be used`)] : findings
  })
}

/**
 * Returns true if changes of a bound table go through the outbox, for which each sidecar has a connection more. If
 * there is no table of bindings, another look says so.
 */
export function isOutboxUsed(client: pg.Client): Promise<boolean> {
  const looking = inTransaction(client, async () => {
    const { name } = await openSchema(client)
    // A statement that fails would be in the server's log.
    if (!(await hasBindings(client, name))) return false
    return (await bindingDefinitions(client, name)).some(
      (binding) => isQueryDefinition(binding) || binding.announce === 'outbox',
    )
  })
  return looking.catch(() => false)
}

/** Finds functions of triggers that belong to wrong roles. */
async function lookAtFunctions(client: pg.Client, schema: string): Promise<readonly Finding[]> {
  const strange = await strangeAnnouncers(client, schema)
  return strange.map(({ key, says, function: name, wanted }) =>
    bad(
      `binding ${key}`,
      says,
      runAs('a superuser', `alter function ${name} owner to ${quoteIdentifier(wanted)}`),
    ),
  )
}

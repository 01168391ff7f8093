import { loadConfig } from '../../config/load.js'
import { errorMessage } from '../../errors/error-message.js'
import { readRegularFile } from '../../files/read-regular-file.js'
import { withBindings } from '../../postgres/bindings/binding-session.js'
import { applyBindings, BindingsRefused } from '../../tools/bindings/application.js'
import { type FileFault, parseBindingsFile, type WrittenBinding } from '../../tools/bindings/bindings-file.js'
import { bindingLines, bindingsJson, faultLines } from '../../tools/bindings/list-text.js'
import { type Plan, sourceText } from '../../tools/bindings/plan.js'
import type { Command, CommandInput } from '../command.js'
import { UsageError } from '../usage-error.js'

/** Exit code after a fault of the file, or after an error: 1 is a difference, or a binding that is refused. */
const failed = 2

/** Lists the bindings, or makes them those of a file. */
export const bind: Command = {
  failureCode: failed,
  options: {
    file: {
      type: 'string',
      value: 'PATH',
      about: 'apply the bindings of this file, YAML or JSON',
      isOnce: true,
    },
    check: { type: 'boolean', about: 'only print what would change; exit code 1 if something would' },
    'dry-run': { type: 'boolean', about: 'only print the SQL that would run' },
    prune: { type: 'boolean', about: 'unbind what the file does not have' },
    json: { type: 'boolean', about: 'print the list of bindings as JSON' },
  },
  settings: 'accepted',
  async run(input) {
    const { flags, values, environment } = input
    const path = values.get('file')
    refuseCombinations(path, flags)
    const wanted = path === undefined ? undefined : bindingsOf(path, input)
    if (path !== undefined && wanted === undefined) return failed
    const { config } = loadConfig(environment, { flags: values })
    const url = config.databaseListenUrl
    return path === undefined || wanted === undefined ? list(url, input) : apply(url, path, wanted, input)
  },
}

function refuseCombinations(path: string | undefined, flags: ReadonlySet<string>): void {
  if (flags.has('check') && flags.has('dry-run'))
    throw new UsageError('bind: --check and --dry-run exclude each other')
  if (path !== undefined && flags.has('json'))
    throw new UsageError('bind: --file and --json exclude each other')
  const lonely = ['check', 'dry-run', 'prune'].find((flag) => path === undefined && flags.has(flag))
  if (lonely !== undefined) throw new UsageError(`bind: --${lonely} needs --file`)
}

async function list(url: string, { flags, stop, out, note }: CommandInput): Promise<number> {
  const bindings = await withBindings({ url, stop, isChanging: false }, (session) => session.defined())
  if (flags.has('json')) out(bindingsJson(bindings))
  else if (bindings.length === 0) note('there are no bindings')
  else for (const line of bindingLines(bindings)) out(line)
  return 0
}

/** Returns the bindings of a file; undefined after it has named the faults of the file. */
function bindingsOf(path: string, { note }: CommandInput): readonly WrittenBinding[] | undefined {
  const { bindings, faults } = parseBindingsFile(textOf(path))
  noteFaults(path, faults, note)
  return faults.length === 0 ? bindings : undefined
}

function textOf(path: string): string {
  try {
    return readRegularFile(path)
  } catch (error) {
    throw new UsageError(`bind: ${path} cannot be read: ${errorMessage(error)}`)
  }
}

function noteFaults(path: string, faults: readonly FileFault[], note: CommandInput['note']): void {
  for (const { line, says } of faults) note(`caching-layer: ${path}:${line}: ${says}`)
}

async function apply(
  url: string,
  path: string,
  wanted: readonly WrittenBinding[],
  { flags, stop, out, note }: CommandInput,
): Promise<number> {
  const isChanging = !flags.has('check') && !flags.has('dry-run')
  let plan: Plan
  try {
    plan = await applyBindings(wanted, { url, stop, isChanging, prune: flags.has('prune') })
  } catch (error) {
    if (!(error instanceof BindingsRefused)) throw error
    noteFaults(path, error.faults, note)
    note('nothing was changed')
    return 1
  }
  const { steps, kept, faulty } = plan
  for (const binding of kept)
    note(
      `${binding.key} is bound to ${sourceText(binding)} and not in ${path}; it stays, and --prune would unbind it`,
    )
  for (const line of faultLines(faulty)) note(line)
  for (const line of flags.has('dry-run') ? sqlOf(plan) : steps.map(({ says }) => says)) out(line)
  note(summaryOf(plan, isChanging))
  return flags.has('check') && steps.length > 0 ? 1 : 0
}

function sqlOf({ steps }: Plan): readonly string[] {
  if (steps.length === 0) return []
  return ['begin;', ...steps.map(({ statement }) => `${statement};`), 'commit;']
}

function summaryOf({ steps }: Plan, isChanging: boolean): string {
  if (steps.length === 0) return 'nothing to change'
  const counts = (['added', 'changed', 'removed'] as const).flatMap((kind) => {
    const count = steps.filter((step) => step.kind === kind).length
    return count === 0 ? [] : [`${count} ${kind}`]
  })
  return isChanging ? counts.join(', ') : `${counts.join(', ')}: nothing was changed yet`
}

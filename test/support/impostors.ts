import { readdir, readFile } from 'node:fs/promises'
import pg from 'pg'

const types =
  'text bigint integer text[] bigint[] boolean name numeric timestamptz float8 oid regclass "char" "char"[]'.split(
    ' ',
  )
const longer = ['text,text,text', 'text,text,boolean', 'text[],bigint[],text[]', 'text,bigint,text']
const operators = '|| = <> < <= > >= + - * / ~ & | # <<'.split(' ')

/** Returns the words before a parenthesis in our SQL and TypeScript. */
async function calledNames(): Promise<string[]> {
  const names = new Set<string>()
  for (const folder of ['src', 'sql']) {
    for (const path of await readdir(folder, { recursive: true })) {
      if (!/\.(ts|sql)$/.test(path)) continue
      const text = await readFile(`${folder}/${path}`, 'utf8')
      for (const [, name = ''] of text.matchAll(/\b([a-z_][a-z_0-9]*)\s?\(/g)) names.add(name)
    }
  }
  return [...names]
}

/**
 * Creates functions and operators in the schema `public` with the names of those in `pg_catalog` that our statements
 * use, for every pair of the usual types. Each raises an exception. A statement runs one of them if it calls a function
 * without its schema, and with arguments whose types are not exactly those of PostgreSQL's own.
 */
export async function plantImpostors(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query('set search_path = pg_catalog')
    const { rows } = await client.query<{ name: string }>(
      "select distinct proname as name from pg_proc where pronamespace = 'pg_catalog'::regnamespace and proname = any($1)",
      [await calledNames()],
    )
    const pairs = types.flatMap((left) => types.map((right) => [left, right] as const))
    const signatures = [...types, ...pairs.map((pair) => pair.join(',')), ...longer]
    const body = (what: string) =>
      `language plpgsql as ${pg.escapeLiteral(`begin raise exception 'an impostor ran: ${what}'; end`)}`
    for (const { name } of rows) {
      const statements = signatures.map(
        (args) =>
          `create function public.${pg.escapeIdentifier(name)}(${args}) returns text ${body(`${name}(${args})`)};`,
      )
      await client.query(statements.join('\n'))
    }
    for (const [index, operator] of operators.entries()) {
      const result = /[=<>~]/.test(operator) ? 'boolean' : 'text'
      const statements = pairs.map(
        ([left, right]) => `
          create function public.impostor_${index}(${left}, ${right}) returns ${result} ${body(`${left} ${operator} ${right}`)};
          create operator public.${operator} (leftarg = ${left}, rightarg = ${right}, function = public.impostor_${index});`,
      )
      await client.query(statements.join('\n'))
    }
  } finally {
    await client.end()
  }
}

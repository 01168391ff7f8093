import t from 'tap'
import { countOpenings, sourcesIn } from '../../scripts/comment-openings.js'

t.test('few doc comments begin with a clause', async (t) => {
  const { comments, commonest, clauses, found } = countOpenings(sourcesIn(['src', 'clients/node/src']))
  t.ok(comments > 500, `${comments} doc comments are found`)
  t.ok(commonest / comments < 0.05, `${commonest} begin with What, Whether, Of, As or Also: less than 5 %`)
  t.ok(clauses / comments < 0.1, `${clauses} begin with a clause: less than 10 %`, { found })
})

t.test('planted comments are counted, with their places', async (t) => {
  const sources = new Map([
    [
      'a.ts',
      [
        '/** Returns what it is given. */',
        '/** What it returns. */ /** Whether it does. */',
        '/**',
        ' * As it was.',
        ' */',
        '  /**',
        '   * `Of` a kind.',
        '   */',
        '// What is not a doc comment',
        '/* Also not one */',
      ].join('\n'),
    ],
    ['b.ts', '/** Also this.*/\n/** When it ends. */\n/** Whatever. */\n/** Officers begin like "of". */'],
  ])
  const { comments, commonest, clauses, found } = countOpenings(sources)
  t.same({ comments, commonest, clauses }, { comments: 9, commonest: 5, clauses: 7 })
  t.strictSame(found, [
    'a.ts:2: What it returns.',
    'a.ts:2: Whether it does.',
    'a.ts:3: As it was.',
    'a.ts:6: `Of` a kind.',
    'b.ts:1: Also this.',
    'b.ts:2: When it ends.',
    'b.ts:3: Whatever.',
  ])
})

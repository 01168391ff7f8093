import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('../..', import.meta.url))
const expected = new Set([
  ...['README.md', 'CHANGELOG.md', 'ROADMAP.md', 'ROADMAP.en.md', 'SECURITY.md', 'LICENSE'],
  ...['CONTRIBUTING.md', 'CODE_OF_CONDUCT.md', '.github', '.editorconfig', '.nvmrc', '.npmrc'],
  ...['src', 'sql', 'test', 'ui', 'bench', 'scripts', 'docs', 'k8s', 'examples'],
  // Packages of their own, for applications: what they need must not bring the sidecar's dependencies.
  'clients',
  ...['package.json', 'package-lock.json', 'tsconfig.json', 'biome.json'],
  ...['Dockerfile', '.dockerignore', 'docker-compose.yml', '.ci', '.gitignore', '.gitattributes'],
])
const { status, stdout } = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' })
const skip = status === 0 ? false : 'not a clone'

t.test(
  'the top level is what a reader expects, and nothing that was left lying there',
  { skip },
  async (t) => {
    const names = new Set(stdout.split('\0').flatMap((path) => path.split('/')[0] || []))
    t.ok(names.has('src'))
    t.strictSame(
      [...names].filter((name) => !expected.has(name)),
      [],
    )
  },
)

import t from 'tap'
import { faultsOf } from './report.js'
import { torture } from './run.js'
import { shippedSettings } from './shipped-settings.js'

const limitMebibytes = 320

t.test('the settings that ship are those that are tortured', async (t) => {
  const { NODE_OPTIONS, CACHE_CAPACITY, MALLOC_ARENA_MAX } = shippedSettings()
  t.match(NODE_OPTIONS, /--max-old-space-size=192/)
  t.ok(Number(CACHE_CAPACITY) > 0)
  t.ok(Number(MALLOC_ARENA_MAX) > 0)
})

t.test(
  'a sidecar that is asked for more memory than there is, in every known way at once',
  { skip: process.platform !== 'linux' && 'the resident size is in /proc' },
  async (t) => {
    const result = await torture({
      durationMs: 4_000,
      heapMebibytes: 192,
      limitMebibytes,
      onProgress: (line) => t.comment(line),
      stop: new AbortController().signal,
    })
    t.strictSame(faultsOf(result, limitMebibytes), [])
    t.ok(result.loads.size >= 8, 'all of it was asked for')
  },
)

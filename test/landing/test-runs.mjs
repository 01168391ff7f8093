import { posix } from 'node:path'

/** In this order: those that wait long come first. */
const folders = ['deploy', 'torture', 'e2e', 'integration', 'chaos', 'fuzz', 'project', 'bundles', 'unit']

/** Tests that read the sources, or what git and npm say about them: they are run in the project, and not compiled. */
const ofSources = /^test\/(project|deploy)\//

/** Folders whose files share processes: one takes a second of CPU time before its first test. */
const bundled = /^test\/(deploy\/k8s|project(\/docs)?|integration\/\w+|e2e|chaos\/(oracle|faults))\//
/** A hook would be called for the tests of other files, too, and a change of the environment or the heap seen by them. */
const needsProcess = /^t\.(before|after)Each\(|\bprocess\.env\.\w+ = |\bgc\(/m
const filesPerProcess = 8

/** Other unit tests are imported by bundles. */
const alone = /^test\/unit\/core\/protocol\/(property|schedules)\.test\.js$/

const ofHttp = /^test\/integration\/(http|contract)\//

/**
 * Returns true for a test that the slow lane of HTTP must pass, too. Those that name the option start sidecars of both
 * kinds.
 */
export const isForSlowLane = (file, text) => ofHttp.test(file) && !text.includes('isFastLaneOn')

/**
 * Returns the processes to run for the tests: each has one file, or several of a folder.
 *
 * @param {Map<string, string>} texts compiled files by their paths
 * @returns {{ name: string, files: string[], isOfSources: boolean, env: NodeJS.ProcessEnv }[]}
 */
export function testRuns(texts) {
  const files = [...texts.keys()].filter(
    (file) => file.endsWith('.test.js') && (!file.startsWith('test/unit/') || alone.test(file)),
  )
  const place = (file) => folders.indexOf(file.split('/')[1])
  const unknown = files.find((file) => place(file) < 0)
  if (unknown) throw new Error(`${unknown}: the folder has no place in the order`)
  const inOrder = files.sort((a, b) => place(a) - place(b))
  const slowLane = inOrder.filter((file) => isForSlowLane(file, texts.get(file)))
  return [
    // First, as they are long. Those at the end of the other list are short.
    ...processesOf(slowLane, texts, ' (slow lane)', { TEST_FAST_LANE: 'off' }),
    ...processesOf(inOrder, texts, '', {}),
  ]
}

function processesOf(files, texts, suffix, env) {
  const groups = []
  const open = new Map()
  for (const file of files) {
    const folder = posix.dirname(file)
    const mayShare = bundled.test(file) && !needsProcess.test(texts.get(file))
    const group = mayShare ? open.get(folder) : undefined
    if (group) group.push(file)
    else groups.push([file])
    if (mayShare) open.set(folder, group?.length === filesPerProcess ? undefined : (group ?? groups.at(-1)))
  }
  return groups.map((group) => ({
    name: nameOf(group) + suffix,
    files: group,
    isOfSources: ofSources.test(group[0]),
    env,
  }))
}

function nameOf([first, ...others]) {
  const plain = (file) => file.replace(/\.test\.js$/, '')
  return [plain(first), ...others.map((file) => posix.basename(plain(file)))].join(', ')
}

/**
 * Runs several test files in one process. Their names come from a variable: tap makes the paths of folders for tests
 * out of the arguments.
 *
 *   TEST_FILES='test/project/docs/links.test.ts test/project/docs/limits.test.ts' node --import=tsx test/bundles/main.ts
 */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { importTests } from './import-tests.js'

const files = (process.env.TEST_FILES ?? '').split(' ')
importTests(files.map((file) => pathToFileURL(resolve(file))))

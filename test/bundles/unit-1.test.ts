import { importUnitTests } from './unit-tests.js'

importUnitTests(0, 2)

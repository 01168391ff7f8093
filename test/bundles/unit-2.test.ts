import { importUnitTests } from './unit-tests.js'

importUnitTests(1, 2)

import { importUnitTests } from './unit-tests.js'

importUnitTests(2, 3)

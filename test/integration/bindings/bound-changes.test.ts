import { testBoundChanges } from '../../support/bound-changes.js'

await testBoundChanges('notify')

import { audit } from './audit.js'
import type { Command } from './command.js'
import { dev } from './dev.js'
import { migrate } from './migrate.js'
import { serve } from './serve.js'

export const commands = { serve, dev, migrate, audit } satisfies Readonly<Record<string, Command>>

import type { Command } from './command.js'
import { dev } from './dev.js'
import { migrate } from './migrate.js'
import { serve } from './serve.js'

export const commands = { serve, dev, migrate } satisfies Readonly<Record<string, Command>>

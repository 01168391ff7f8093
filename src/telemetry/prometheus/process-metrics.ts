import { cpuUsage, memoryUsage } from 'node:process'
import type { Histogram } from '../../core/histogram.js'
import { type Metric, single } from './metric.js'

export interface ProcessSources {
  /** Version of this program. */
  readonly version: string
  readonly eventLoopDelay: Histogram
}

export function processMetrics({ version, eventLoopDelay }: ProcessSources): readonly Metric[] {
  return [
    {
      name: 'caching_layer_build_info',
      help: '1, with the version of this program and of Node.',
      type: 'gauge',
      labels: ['version', 'node_version'],
      read: () => [{ labels: { version, node_version: process.version }, value: 1 }],
    },
    {
      name: 'caching_layer_event_loop_delay_seconds',
      help: 'Delay of timers.',
      type: 'histogram',
      read: () => [{ value: eventLoopDelay }],
    },
    {
      name: 'process_cpu_seconds_total',
      help: 'User and system CPU time.',
      type: 'counter',
      read: () => {
        const { user, system } = cpuUsage()
        return single((user + system) / 1e6)
      },
    },
    {
      name: 'process_resident_memory_bytes',
      help: 'Resident memory size.',
      type: 'gauge',
      read: () => single(memoryUsage.rss()),
    },
    {
      name: 'process_start_time_seconds',
      help: 'Start time of the process, in seconds since 1970.',
      type: 'gauge',
      read: () => single(performance.timeOrigin / 1_000),
    },
    {
      name: 'nodejs_heap_size_used_bytes',
      help: "Used size of Node's JavaScript heap.",
      type: 'gauge',
      read: () => single(memoryUsage().heapUsed),
    },
  ]
}

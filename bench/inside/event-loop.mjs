import { monitorEventLoopDelay } from 'node:perf_hooks'

/** Loaded into a sidecar: answers any message with the event loop's delay since the last one, p99 in ms. */
const resolutionMs = 1
const delay = monitorEventLoopDelay({ resolution: resolutionMs })
delay.enable()
process.on('message', () => {
  // The histogram counts whole intervals: what is beyond one of them is delay.
  process.send(Math.max(0, delay.percentile(99) / 1e6 - resolutionMs))
  delay.reset()
})
// Must not keep the process when it is told to end.
process.channel.unref()

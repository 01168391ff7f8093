/** A flight that is not closed costs memory, and time at every change of its key. */
import t from 'tap'
import { Flights } from '../../../../src/core/state/flights.js'
import { liveSidecar, type ModelSidecar } from '../../../support/model-sidecar.js'

const requests: Readonly<Record<string, (sidecar: ModelSidecar) => Promise<unknown>>> = {
  'a read': ({ cache }) => cache.get('k'),
  'a strong read': ({ cache }) => cache.get('k', { strong: true }),
  'a read of several keys': ({ cache }) => cache.getMany(['k', 'j'], {}, () => undefined),
  'a warm-up': ({ cache }) => cache.warm('k'),
  'a set': ({ cache }) => cache.set('k', '1'),
  'a delete': ({ cache }) => cache.delete('k'),
  'a change': ({ cache }) => cache.change('k', { value: '1' }),
  'a change whose condition does not hold': ({ cache }) =>
    cache.change('k', { value: '1' }, { condition: { match: '*' } }),
  'a batch': ({ cache }) => cache.writeAll(['k', 'j'].map((key) => ({ key, value: '1', condition: {} }))),
}

for (const [name, request] of Object.entries(requests)) {
  t.test(`${name} leaves no flight behind, whether it succeeds or fails`, async (t) => {
    const opened = t.capture(Flights.prototype, 'open', Flights.prototype.open)
    const closed = t.capture(Flights.prototype, 'close', Flights.prototype.close)
    for (const code of [undefined, 'refused', 'store-unavailable', 'outcome-unknown'] as const) {
      const sidecar = await liveSidecar()
      if (code)
        for (const operation of ['read', 'write', 'remove'] as const) sidecar.store.fail(operation, code)
      await request(sidecar).catch(() => undefined)
      const flights = opened().map((call) => ('returned' in call ? call.returned : undefined))
      t.ok(flights.length > 0)
      t.strictSame(
        closed().map(({ args: [flight] }) => flight),
        flights,
        code ?? 'success',
      )
    }
  })
}

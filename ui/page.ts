import type { Tick } from '../src/http/ops/page/page-data.js'
import { Charts } from './charts/charts.js'
import { History } from './charts/history.js'
import { EventStream } from './event-stream.js'
import { Navigation } from './navigation.js'
import { Session } from './session.js'
import { AccessView } from './views/access-view.js'
import { ChangesView } from './views/changes-view.js'
import { DatabaseView } from './views/database-view.js'
import { FeedView } from './views/feed-view.js'
import { FleetView } from './views/fleet-view.js'
import { KeysView } from './views/keys-view.js'
import { SettingsView } from './views/settings-view.js'
import { StateView } from './views/state-view.js'
import { Tiles } from './views/tiles.js'
import { WriteView } from './views/write-view.js'

const session = new Session()
const state = new StateView()
const tiles = new Tiles()
const charts = new Charts()
const feed = new FeedView()
const changes = new ChangesView()
const fleet = new FleetView(session)
const access = new AccessView((token) => {
  session.useToken(token)
  stream.renew()
})
const write = new WriteView(session, () => keys.refresh())
const keys = new KeysView(session, (entry) => write.choose(entry))
const navigation = new Navigation({
  keys,
  database: new DatabaseView(session),
  settings: new SettingsView(session),
})
let history = new History([], [])

function show({ sample, overview }: Tick): void {
  if (sample) history.push(sample)
  state.show(overview)
  tiles.show(overview, history)
  charts.show(history)
}

const stream = new EventStream(session, {
  open: (opening) => {
    history = new History(opening.columns, opening.history)
    access.open(opening, session.hasToken)
    state.open(opening)
    show(opening)
    feed.open(opening.feed)
    changes.open(opening)
    if (opening.keys === 'refused') return
    fleet.load()
    navigation.show()
  },
  sample: show,
  changes: (data) => changes.add(data),
  feed: (events) => feed.add(events),
  lost: () => state.lost(),
})

stream.run()

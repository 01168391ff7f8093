import type { Tick } from '../src/http/ops/page/page-data.js'
import { ChangesView } from './changes-view.js'
import { Charts } from './charts.js'
import { EventStream } from './event-stream.js'
import { FeedView } from './feed-view.js'
import { History } from './history.js'
import { StateView } from './state-view.js'
import { Tiles } from './tiles.js'

const state = new StateView()
const tiles = new Tiles()
const charts = new Charts()
const feed = new FeedView()
let hasSentToken = false
const changes = new ChangesView((token) => {
  hasSentToken = true
  stream.useToken(token)
})
let history = new History([], [])

function show({ sample, overview }: Tick): void {
  if (sample) history.push(sample)
  state.show(overview)
  tiles.show(overview, history)
  charts.show(history)
}

const stream = new EventStream({
  open: (opening) => {
    history = new History(opening.columns, opening.history)
    state.open(opening)
    show(opening)
    feed.open(opening.feed)
    changes.open(opening, hasSentToken)
  },
  sample: show,
  changes: (data) => changes.add(data),
  feed: (events) => feed.add(events),
  lost: () => state.lost(),
})

stream.run()

import t from 'tap'
import { chart, panelsOf } from '../../../bench/chart.js'
import type { Section } from '../../../bench/results.js'
import { tableOf } from '../../../bench/table.js'

const at = (median: number) => ({ median, min: median * 0.9, max: median * 1.1 })

const section = {
  name: 'hit',
  about: '',
  rounds: 3,
  seconds: 5,
  measured: {},
  rows: [
    {
      work: 'GET hit, 16 connections',
      figure: 'rate',
      unit: 'requests/s',
      of: 'sidecar',
      against: 'Webdis + Redis',
      target: { atLeast: 1.2 },
      ours: at(50_000),
      theirs: at(25_000),
      compared: { median: 2, min: 1.9, max: 2.1 },
      verdict: 'reached',
    },
    {
      work: 'GET hit, 64 connections',
      figure: 'rate',
      unit: 'requests/s',
      of: 'sidecar',
      against: '<peer> & co',
      ours: at(50_000),
      theirs: at(100_000),
      compared: { median: 0.5, min: 0.4, max: 0.6 },
      verdict: 'for reference',
    },
    {
      work: 'cold start',
      figure: 'startMs',
      unit: 'ms',
      of: 'sidecar',
      against: 'peer',
      target: { atMostMore: 250 },
      verdict: 'missing',
      missing: 'peer is not installed',
    },
  ],
} as unknown as Section

t.test('a chart has one panel for each figure, one bar for each contender', async (t) => {
  const panels = panelsOf(section)
  t.equal(panels.length, 1)
  t.equal(panels[0]?.title, 'GET hit, requests/s')
  t.same(
    panels[0]?.bars.map(({ label, isOurs }) => [label, isOurs]),
    [
      ['sidecar', true],
      ['Webdis + Redis', false],
      ['<peer> & co', false],
    ],
  )
  const svg = chart(panels)
  const widths = [...svg.matchAll(/<rect class="\w+" [^>]*width="([\d.]+)"/g)].map(([, width]) =>
    Number(width),
  )
  t.equal(widths.length, 3)
  const [ours = 0, webdis = 0, peer = 0] = widths
  t.ok(Math.abs(ours / webdis - 2) < 0.01, 'bars are as long as the medians are large')
  t.ok(Math.abs(peer / ours - 2) < 0.01)
  t.match(svg, '&lt;peer> &amp; co')
  t.match(svg, '>50,000<')
  t.match(svg, 'prefers-color-scheme: dark')
  t.equal(svg.match(/<text/g)?.length, svg.match(/<\/text>/g)?.length)
})

t.test('the table shows what was compared, with the results', async (t) => {
  const lines = tableOf([section]).split('\n')
  t.match(
    lines[1],
    /GET hit, 16 connections +50,000 requests\/s +Webdis \+ Redis +25,000 +2\.00 \(1\.90\.\.2\.10\) +>= 1\.2 +reached/,
  )
  t.match(lines[2], /<peer> & co +100,000 +0\.50 \(0\.40\.\.0\.60\)$/)
  t.match(lines[3], /cold start +peer +<= \+250 +peer is not installed$/)
})

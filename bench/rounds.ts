import type { Contender, Figures } from './comparison.js'
import type { Rounds } from './verdict.js'

export interface RoundsOptions {
  readonly rounds: number
  readonly seconds: number
  /** Nothing to warm up. */
  readonly once: boolean
  readonly note: (line: string) => void
}

const warmUpSeconds = 2

/** A B A B ...: what disturbs the machine for a while disturbs everybody. The first round does not count. */
export async function measureRounds(
  contenders: readonly Contender[],
  { rounds, seconds, once, note }: RoundsOptions,
): Promise<Rounds> {
  const measured = new Map<string, Figures[]>(contenders.map(({ name }) => [name, []]))
  for (let round = once ? 1 : 0; round <= (once ? 1 : rounds); round++) {
    const soFar = new Map<string, Figures>()
    for (const contender of contenders) {
      const length = round === 0 ? Math.min(seconds, warmUpSeconds) : seconds
      const figures = await contender.measure({ seconds: length, soFar })
      soFar.set(contender.name, figures)
      if (round > 0) measured.get(contender.name)?.push(figures)
      note(`  ${round === 0 ? 'warm-up' : `round ${round}`}  ${contender.name}  ${textOf(figures)}`)
    }
  }
  return measured
}

function textOf(figures: Figures): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${Number(value.toPrecision(5))}`)
    .join('  ')
}

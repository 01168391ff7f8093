import { byId } from './elements.js'

/** Something that is shown on one of the pages. */
export interface Shown {
  /** Called when its page is opened. */
  opened(): void
}

/** Pages by the fragment of the address, such as `#keys`. Any other fragment leads to the overview. */
export class Navigation {
  readonly #pages: ReadonlyMap<string, Shown>

  constructor(pages: Readonly<Record<string, Shown>>) {
    this.#pages = new Map(Object.entries(pages))
    addEventListener('hashchange', () => this.show())
  }

  /** Shows the page of the address. */
  show(): void {
    const name = location.hash.slice(1)
    const shown = this.#pages.has(name) ? name : 'overview'
    for (const section of document.querySelectorAll<HTMLElement>('main > [data-page]'))
      section.hidden = section.dataset.page !== shown
    for (const link of byId('navigation').querySelectorAll('a')) {
      if (link.hash === `#${shown}`) link.setAttribute('aria-current', 'page')
      else link.removeAttribute('aria-current')
    }
    this.#pages.get(shown)?.opened()
  }
}

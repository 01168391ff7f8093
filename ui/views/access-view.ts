import type { Opening } from '../../src/http/ops/page/page-data.js'
import { byId, setText } from '../elements.js'

const local =
  'The fleet, changes, keys, the database and the settings are shown only to browsers on the machine of the sidecar, ' +
  'such as through kubectl port-forward.'
const withToken = 'The fleet, changes, keys, the database and the settings are shown with the API token only.'

/** Hides what this browser may not see, and asks for the token if that helps. */
export class AccessView {
  /** Calls `useToken` with the token that is entered. */
  constructor(useToken: (token: string) => void) {
    byId('token-form').addEventListener('submit', (event) => {
      event.preventDefault()
      const input = byId<HTMLInputElement>('token')
      useToken(input.value)
      input.value = ''
    })
  }

  open({ keys, needsToken, mayWrite }: Opening, hasSentToken: boolean): void {
    const isRefused = keys === 'refused'
    const hadFocus = byId('access').contains(document.activeElement)
    document.body.dataset.access = isRefused ? 'refused' : 'granted'
    document.body.dataset.write = String(mayWrite)
    byId('access').hidden = !isRefused
    byId('token-form').hidden = !needsToken
    // The form that had the focus is gone.
    if (hadFocus && !isRefused) byId('navigation').querySelector('a')?.focus()
    setText(byId('access-note'), needsToken ? (hasSentToken ? 'The token is not right.' : withToken) : local)
  }
}

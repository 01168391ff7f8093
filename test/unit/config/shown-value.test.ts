import t from 'tap'
import { shownValue } from '../../../src/config/describe-settings.js'
import { settings } from '../../../src/config/settings/settings.js'

t.test('no secret is shown', async (t) => {
  t.equal(shownValue(settings.apiToken, 's3cret'), '(a token)')
  for (const setting of [settings.databaseUrl, settings.databaseListenUrl])
    t.notMatch(shownValue(setting, 'postgresql://me:s3cret@db.example/orders'), 's3cret')
  const urls = ['postgresql://me:s3cret@one.example/orders', 'postgresql://me:s3cret@two.example/orders']
  const shown = String(shownValue(settings.databaseReadUrls, urls))
  t.notMatch(shown, 's3cret')
  t.match(shown, /one\.example.* .*two\.example/)
})

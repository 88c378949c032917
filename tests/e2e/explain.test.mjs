// What `vestibule explain --client` tells an operator is what a certified relying party gets: with local accounts, and with the
// claims of a real identity provider.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, test } from 'node:test'
import * as oidc from 'openid-client'
import { CLIENT_SECRET, VESTIBULE } from './gateway.mjs'
import { HttpClient } from './http-client.mjs'
import { newRequest, PASSWORDS, redeem, relyingParty, SECRET_REFERENCE, startCallback, startProvider } from './provider.mjs'
import { read } from './tokens.mjs'

const SCOPES = ['openid', 'profile', 'email', 'offline_access', 'editor']
// What differs between any two logins.
const CHANGING = ['jti', 'sid', 'at_hash', 'c_hash', 'iat', 'exp', 'nbf', 'auth_time']
let local, broker, callback

before(async () => {
  callback = await startCallback()
  const rules = {
    settings: {
      scopes: { editor: { grant: [{ groups: ['editors'] }, { groups: ['wiki-admins'] }] } },
      claims: {
        team: { from: 'groups', in: ['id_token', 'access_token'] },
        contact: { from: { mail: 'email', login: 'user' }, in: ['userinfo', 'introspection'] },
      },
      lifetimes: { id_token: '5m', access_token: '7m' },
    },
    clients: [{ client_id: 'shop', client_secret: SECRET_REFERENCE, redirect_uris: [callback.url], scopes: SCOPES }],
  }
  local = await startProvider(rules)
  broker = await startProvider({ ...rules, identityProviders: [{ id: 'corp', name: 'Example Corp' }] })
})
after(async () => {
  await local?.stop()
  await broker?.stop()
  await callback?.stop()
})

const explained = (provider, args) => JSON.parse(execFileSync(
  VESTIBULE, ['explain', '--json', '-c', 'gateway.yaml', '--client', 'shop', ...args],
  { cwd: provider.gateway.folder, env: { ...process.env, ...CLIENT_SECRET }, encoding: 'utf8' },
))

/** The names of `claims`, and the values of those that last; `nonce` is the client's, and an operator has none. */
function told({ nonce: _, ...claims }) {
  const lasting = Object.fromEntries(Object.entries(claims).filter(([name]) => !CHANGING.includes(name)))
  return { names: Object.keys(claims).sort(), lasting }
}

for (const [name, user, isEditor] of [['local', 'alice', true], ['local', 'bob', false], ['broker', 'alice', true], ['broker', 'bob', false]]) {
  test(`${name}: what is said of ${user} is what ${user} gets`, async () => {
    const provider = { local, broker }[name]
    const config = await relyingParty(provider, 'shop')
    const { url, checks } = await newRequest(config, { redirect_uri: callback.url, scope: SCOPES.join(' ') })
    const page = await new HttpClient().logIn(url, user, name === 'local' ? PASSWORDS[user] : user)
    const tokens = await redeem(provider, config, page.url, checks)

    let who = ['--user', user]
    if (name === 'broker') {
      // What the identity provider has said, as an operator finds it in its log or by its own tools.
      const said = [...provider.idps.corp.secrets].filter((secret) => secret.startsWith('eyJ')).map((token) => read(token).claims)
      await writeFile(path.join(provider.gateway.folder, 'claims.json'), JSON.stringify(said.at(-1)))
      who = ['--claims', 'claims.json']
    }
    const preview = explained(provider, [...who, '--scope', SCOPES.join(' ')])
    assert.equal(preview.decision, 'grant')
    const granted = preview.scopes.filter((one) => one.granted).map(({ scope }) => scope)
    assert.equal(tokens.scope, granted.join(' '))
    assert.equal(granted.includes('editor'), isEditor)
    assert.deepEqual(told(preview.id_token.claims), told(tokens.claims()))
    assert.deepEqual(told(preview.access_token.claims), told(read(tokens.access_token).claims))
    assert.equal(preview.access_token.lifetime_seconds, tokens.expires_in)
    assert.ok(preview.refresh_token && tokens.refresh_token)
    assert.deepEqual(preview.userinfo.claims, await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub))
    const known = await oidc.tokenIntrospection(config, tokens.access_token)
    assert.deepEqual(told(preview.introspection.claims), told(known))

    const refused = explained(provider, [...who, '--scope', 'openid admin'])
    const { url: wrong } = await newRequest(config, { redirect_uri: callback.url, scope: 'openid admin' })
    const answer = await new HttpClient().navigate(wrong)
    const error = new URL(answer.url).searchParams.get('error')
    assert.deepEqual([refused.decision, refused.error, error], ['refuse', 'invalid_scope', 'invalid_scope'])
  })
}

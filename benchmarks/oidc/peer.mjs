// npm oidc-provider as the benchmark's peer: memory adapter, ES256, PKCE for all, TLS.
// Reads its settings as JSON from standard input; says "ready" when it listens.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { generateKeyPairSync } from 'node:crypto'
import { Algorithm, hash, verify } from '@node-rs/argon2'
import { Provider } from 'oidc-provider'

const settings = JSON.parse(readFileSync(0, 'utf8'))
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })

const provider = new Provider(settings.issuer, {
  clients: [
    {
      client_id: settings.client_id,
      client_secret: settings.client_secret,
      redirect_uris: [settings.redirect_uri],
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
      token_endpoint_auth_method: 'client_secret_basic',
      id_token_signed_response_alg: 'ES256',
    },
  ],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' }] },
  cookies: { keys: ['benchmark'] },
  claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email'] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    userinfo: { enabled: true },
  },
  pkce: { required: () => true },
  // As ours: the application registered for refresh tokens gets one with every login, and each
  // use rotates it.
  issueRefreshToken: () => true,
  rotateRefreshToken: true,
  findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, name: '张伟' }) }),
  loadExistingGrant: async (context) => {
    const { client, session, provider: own } = context.oidc
    const known = session.grantIdFor(client.clientId)
    if (known) return own.Grant.find(known)
    const grant = new own.Grant({ clientId: client.clientId, accountId: session.accountId })
    grant.addOIDCScope('openid profile email')
    await grant.save()
    return grant
  },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
})

const people = new Map([
  [
    settings.name,
    await hash(settings.password, { algorithm: Algorithm.Argon2id, outputLen: 32, ...settings.argon2 }),
  ],
])

async function interact(request, response) {
  if (request.method !== 'POST') {
    response.setHeader('Content-Type', 'text/html; charset=utf-8')
    response.end(`<!doctype html><form method="post" action="${request.url}">
<input name="name"><input name="password" type="password"><button>Log in</button></form>`)
    return
  }
  const octets = []
  for await (const one of request) octets.push(one)
  const form = new URLSearchParams(Buffer.concat(octets).toString())
  const known = people.get(form.get('name'))
  // In a thread of libuv's: the event loop goes on.
  if (!known || !(await verify(known, form.get('password') ?? ''))) {
    response.writeHead(401).end('wrong')
    return
  }
  const result = { login: { accountId: form.get('name') } }
  await provider.interactionFinished(request, response, result)
}

const answer = provider.callback()
const key = readFileSync(settings.tls)
createServer({ key, cert: key }, (request, response) => {
  if (!request.url.startsWith('/interaction/')) return answer(request, response)
  interact(request, response).catch((error) => {
    console.error(error)
    response.writeHead(500).end()
  })
}).listen(settings.port, '127.0.0.1', () => console.log('ready'))

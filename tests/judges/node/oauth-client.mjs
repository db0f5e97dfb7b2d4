// npm openid-client at its default strictness, all the way: pushed request, code + PKCE, DPoP, userinfo,
// refresh, introspection, revocation, logout address, client credentials, device code.
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import * as client from 'openid-client'
import { hear, reason, say } from './lines.mjs'

const importKey = (jwk) => crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])

const METHODS = {
  client_secret_basic: ({ secret }) => client.ClientSecretBasic(secret),
  client_secret_post: ({ secret }) => client.ClientSecretPost(secret),
  private_key_jwt: async ({ jwk }) => client.PrivateKeyJwt({ key: await importKey(jwk), kid: jwk.kid }),
  tls_client_auth: () => client.TlsClientAuth(),
  self_signed_tls_client_auth: () => client.TlsClientAuth(),
  none: () => client.None(),
}

// Node's fetch takes no client certificate.
const overTLS = (pem) => (url, { method = 'GET', headers = {}, body } = {}) =>
  new Promise((resolve, reject) => {
    const sent = request(url, { method, headers: Object.fromEntries(new Headers(headers)), key: pem, cert: pem }, (answer) => {
      const parts = []
      answer.on('data', (part) => parts.push(part))
      answer.on('end', () => resolve(new Response(Buffer.concat(parts), { status: answer.statusCode, headers: answer.headers })))
    })
    sent.on('error', reject)
    sent.end(body ? body.toString() : undefined)
  })

async function configure(job) {
  const metadata = { id_token_signed_response_alg: job.idTokenAlg, use_mtls_endpoint_aliases: Boolean(job.pem) }
  const options = job.pem ? { [client.customFetch]: overTLS(readFileSync(job.pem)) } : {}
  const config = await client.discovery(new URL(job.issuer), job.clientId, metadata, await METHODS[job.method](job), options)
  const DPoP = job.dpop ? client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256')) : undefined
  return [config, DPoP ? { DPoP } : undefined]
}

async function person(job) {
  const [config, how] = await configure(job)
  const verifier = client.randomPKCECodeVerifier()
  const state = client.randomState()
  const nonce = client.randomNonce()
  const parameters = {
    redirect_uri: job.redirectUri,
    scope: job.scope,
    state,
    nonce,
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  }
  const build = job.par ? client.buildAuthorizationUrlWithPAR : client.buildAuthorizationUrl
  say({ authorize: (await build(config, parameters, how)).href })

  const { callback } = await hear()
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true }
  const tokens = await client.authorizationCodeGrant(config, new URL(callback), checks, undefined, how)
  const sub = tokens.claims().sub
  const userinfo = await client.fetchUserInfo(config, tokens.access_token, sub, how)
  const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, how)
  const answer = { tokenType: tokens.token_type, claims: tokens.claims(), userinfo, refreshed: refreshed.claims().sub }
  if (job.method !== 'none') answer.before = await client.tokenIntrospection(config, refreshed.access_token)
  await client.tokenRevocation(config, refreshed.refresh_token ?? tokens.refresh_token)
  if (job.method !== 'none') answer.after = await client.tokenIntrospection(config, refreshed.access_token)
  answer.logout = client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token }).href
  return answer
}

async function machine(job) {
  const [config, how] = await configure(job)
  const tokens = await client.clientCredentialsGrant(config, {}, how)
  return { tokenType: tokens.token_type }
}

async function device(job) {
  const [config] = await configure(job)
  const codes = await client.initiateDeviceAuthorization(config, { scope: 'openid' })
  say(codes)
  await hear()
  const tokens = await client.pollDeviceAuthorizationGrant(config, codes)
  return { claims: tokens.claims() }
}

const WORK = { person, machine, device }
const job = await hear()
try {
  say(await WORK[job.work](job))
} catch (error) {
  say(reason(error))
}

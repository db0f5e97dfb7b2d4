// npm openid-client at its default strictness: discovery, code + PKCE, token, userinfo.
import * as client from 'openid-client'
import { hear, reason, say } from './lines.mjs'

const { issuer, clientId, clientSecret, redirectUri, scope, idTokenAlg } = await hear()
try {
  const metadata = { id_token_signed_response_alg: idTokenAlg }
  const config = await client.discovery(new URL(issuer), clientId, metadata, client.ClientSecretBasic(clientSecret))

  const verifier = client.randomPKCECodeVerifier()
  const state = client.randomState()
  const nonce = client.randomNonce()
  const authorize = client.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope,
    state,
    nonce,
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  })
  say({ authorize: authorize.href })

  const { callback } = await hear() // where the browser was sent back to
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true }
  const tokens = await client.authorizationCodeGrant(config, new URL(callback), checks)
  const claims = tokens.claims()
  const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
  say({ idToken: tokens.id_token, claims, userinfo })
} catch (error) {
  say(reason(error))
}

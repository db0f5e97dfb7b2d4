// npm jose: is this ID token good under this JWKS?
import { createLocalJWKSet, jwtVerify } from 'jose'
import { hear, reason, say } from './lines.mjs'

const { token, jwks, issuer, audience } = await hear()
try {
  const { payload } = await jwtVerify(token, createLocalJWKSet(jwks), { issuer, audience })
  say(payload)
} catch (error) {
  say(reason(error))
}

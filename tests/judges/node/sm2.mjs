// npm sm-crypto: is this an SM2 signature over these TBS octets?
import smCrypto from 'sm-crypto'
import { hear, say } from './lines.mjs'

for (;;) {
  const { tbs, signature, point, id } = await hear()
  const message = Array.from(Buffer.from(tbs, 'hex'))
  const options = { der: true, hash: true, userId: id }
  const good = smCrypto.sm2.doVerifySignature(message, signature, point, options)
  say(good ? 'ok' : { no: 'sm-crypto: the signature does not verify' })
}

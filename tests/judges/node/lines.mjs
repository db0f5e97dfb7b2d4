// One JSON value per line, in and out. A failure is said as {"no": reason}.
import { createInterface } from 'node:readline'

const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

export async function hear() {
  const { value, done } = await input.next()
  if (done) process.exit(0)
  return JSON.parse(value)
}

export function say(value) {
  process.stdout.write(JSON.stringify(value) + '\n')
}

export function reason(error) {
  const cause = error.cause ? ` (${error.cause.message ?? JSON.stringify(error.cause)})` : ''
  return { no: `${error.name}: ${error.code ?? ''} ${error.message}${cause}` }
}

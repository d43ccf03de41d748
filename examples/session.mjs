// @ts-check
/**
 * Reading what you wrote, wherever you go next.
 *
 * A commit comes with a session token. Hand it on with your answer (a cookie, a header, a message), and a transaction that
 * begins `after` it, in any process and on any node, sees that commit. Nodes share their decisions within milliseconds,
 * but a user who is sent on to another machine may be faster.
 */
import { connect } from 'virga'
import { nodeForExample } from './support/node.mjs'

const node = await nodeForExample()

// One executor handles the sign-up.
const signUp = await connect({ socket: node.socket })
const tx = await signUp.begin()
tx.put('user:eve', { name: 'Eve', plan: 'free' })
const { session } = await tx.commit()
await signUp.close()
console.log('signed up, with a token:', typeof session === 'string')

// Another one, to which the browser brings the token, shows the profile.
const profile = await connect({ socket: node.socket })
const user = await profile.transaction((next) => next.get('user:eve'), { after: session })
console.log('the profile shows:      ', user)

// A token that is not one is refused; it is never taken for "whatever you have".
await profile
  .transaction((next) => next.get('user:eve'), { after: 'from somewhere else' })
  .catch((error) => console.log('a made-up token:        ', error.code))

await profile.close()
await node.stop()

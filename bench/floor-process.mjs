// @ts-check
import { createServer } from 'node:net'

// The floor of any server on this machine: what comes in at a socket goes back, unread.
const [where = ''] = process.argv.slice(2)
const server = createServer((socket) => {
  socket.setNoDelay(true)
  socket.pipe(socket)
  socket.on('error', () => socket.destroy())
})
process.on('disconnect', () => process.exit(1))
process.on('SIGTERM', () => process.exit(0))
const said = () => {
  const address = server.address()
  console.log(typeof address === 'object' && address !== null ? address.port : address)
}
if (where === 'tcp') server.listen(0, '127.0.0.1', said)
else server.listen(where, said)

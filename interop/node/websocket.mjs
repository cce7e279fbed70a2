// The WebSocket that a replica uses in Node: `ws`, with the HTTP status of a refused handshake.
import WebSocket from 'ws'

const OPTIONS = { perMessageDeflate: false, followRedirects: false, handshakeTimeout: 30000, maxPayload: 1 << 30 }

export class NodeWebSocket extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, OPTIONS)
    this.status = undefined
    this.on('unexpected-response', (request, response) => {
      this.status = response.statusCode
      this.emit('error', new Error(`the server answered with HTTP status ${response.statusCode}`))
      this.terminate()
    })
  }
}

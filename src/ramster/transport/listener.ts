/**
 * Where other nodes connect: TCP with TLS 1.3 and certificates on both sides, or unix sockets for their owner only.
 *
 * Only those whose certificate is in order become channels. All others get a reason and are told of by the event
 * 'tmem:ramster:refused'. Bounds: connections, those that are not through their handshake yet, and the time for that
 * and for the first frame.
 */

import { constants } from 'node:crypto';
import { createServer as createPlainServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type SecureContextOptions, Server as TlsServer } from 'node:tls';
import { listenOn } from '../../nbd/listener.ts';
import { publish, TmemError } from '../../zcache/index.ts';
import type { Clock } from '../clock.ts';
import { nodeAddressText, parseNodeAddress, remoteAddressText } from './address.ts';
import { judge, type NodeCertificates, tlsContextOf } from './identity.ts';
import { refuse } from './refusal.ts';
import { SocketChannel } from './socket-channel.ts';
import type { Channel } from './transport.ts';

export interface ChannelListenerOptions {
  readonly clock: Clock;
  /** Undefined: TCP is not secured, and anybody may connect. Meant for the loopback of one machine. */
  readonly tls: NodeCertificates | undefined;
  /** Gets each channel, once its other side is known. */
  readonly accepted: (channel: Channel) => void;
  /** Longest time for the TLS handshake, and again for the first frame; 5000. */
  readonly handshakeTimeoutMs?: number | undefined;
  /** Channels at a time; 4096. */
  readonly connectionsMax?: number | undefined;
  /** Bytes that may wait to be sent on a channel before it is closed; 8 MiB. */
  readonly pendingBytesMax?: number | undefined;
}

const HANDSHAKE_TIMEOUT_MS = 5000;
/** Four for each node of a cluster of a thousand. */
const CONNECTIONS_MAX = 4096;
/** Sockets of each address above that: those in their handshake, and those that are told why they are refused. */
const HANDSHAKES_MAX = 256;

export class ChannelListener {
  readonly #options: ChannelListenerOptions;
  readonly #handshakeTimeoutMs: number;
  readonly #connectionsMax: number;
  readonly #servers: Server[] = [];
  /** All sockets, as the system gave them. */
  readonly #sockets = new Set<Socket>();
  readonly #channels = new Set<SocketChannel>();
  #context: SecureContextOptions | undefined;
  #isClosed = false;

  /** @throws TmemError TMEM_ERR_SETTING if the certificates cannot be used */
  constructor(options: ChannelListenerOptions) {
    this.#options = options;
    this.#handshakeTimeoutMs = options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS;
    this.#connectionsMax = options.connectionsMax ?? CONNECTIONS_MAX;
    this.#context = options.tls && tlsContextOf(options.tls);
  }

  /** Channels there are. */
  get connections(): number {
    return this.#channels.size;
  }

  /**
   * Listens on one more address; the address, with the port that was chosen if it was 0.
   *
   * @throws TmemError TMEM_ERR_SETTING if the address is none; the error of node:net, such as EADDRINUSE or EACCES
   */
  async listen(address: string): Promise<string> {
    const place = parseNodeAddress(address);
    const server =
      'path' in place || this.#context === undefined ? this.#plain(address) : this.#secured(this.#context);
    server.maxConnections = this.#connectionsMax + HANDSHAKES_MAX;
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    server.on('drop', (drop) => {
      this.#tell(`${drop?.remoteAddress ?? address}`, 'there are too many connections');
    });
    const bound = await listenOn(server, place);
    // The system may have no room for a connection: then that one is lost.
    server.on('error', (error) => this.#tell(address, `a connection could not be taken: ${error.message}`));
    this.#servers.push(server);
    return 'port' in bound && 'host' in place ? nodeAddressText({ ...place, port: bound.port }) : address;
  }

  /**
   * Certificates for connections from now on; those there are go on.
   *
   * @throws TmemError TMEM_ERR_SETTING if they cannot be used, or there were none before; then nothing changes
   */
  setCertificates(tls: NodeCertificates): void {
    if (this.#context === undefined) {
      throw new TmemError(
        'TMEM_ERR_SETTING',
        'a listener made without certificates cannot get any: make another',
      );
    }
    this.#context = tlsContextOf(tls);
    for (const server of this.#servers)
      if (server instanceof TlsServer) server.setSecureContext(this.#context);
  }

  /** Listens no more, and closes the channels there are. */
  close(): void {
    this.#isClosed = true;
    for (const server of this.#servers.splice(0)) server.close();
    for (const channel of this.#channels) channel.close('this node stops');
    for (const socket of this.#sockets) socket.destroy();
  }

  #plain(address: string): Server {
    return createPlainServer((socket) => {
      this.#take(socket, undefined, remoteAddressText(socket) ?? address);
    });
  }

  #secured(context: SecureContextOptions): Server {
    const server = createTlsServer({
      ...context,
      requestCert: true,
      // `judge` decides, before anything is sent or read, and can say why to the other side.
      rejectUnauthorized: false,
      handshakeTimeout: this.#handshakeTimeoutMs,
      // A session that was taken up again would not have its certificate's dates checked.
      secureOptions: constants.SSL_OP_NO_TICKET,
    });
    server.on('secureConnection', (socket) => {
      const peer = remoteAddressText(socket) ?? '';
      const verdict = judge(socket);
      if ('refused' in verdict) this.#refuse(socket, peer, verdict.refused);
      else this.#take(socket, verdict.name, peer);
    });
    server.on('tlsClientError', (error, socket) => {
      this.#tell(remoteAddressText(socket) ?? '', this.#handshakeText(error));
      socket.destroy();
    });
    return server;
  }

  #take(socket: Socket, peerName: string | undefined, peer: string): void {
    if (this.#channels.size >= this.#connectionsMax) {
      this.#refuse(socket, peer, `there are ${this.#connectionsMax} connections, which is the most`);
      return;
    }
    const { clock, accepted, pendingBytesMax } = this.#options;
    const channel = new SocketChannel(socket, { clock, peerName, peerAddress: peer, pendingBytesMax });
    this.#channels.add(channel);
    const silence = clock.after(this.#handshakeTimeoutMs, () => {
      if (channel.hasReceived) return;
      const reason = `it sent nothing for ${this.#handshakeTimeoutMs} ms`;
      this.#tell(peer, reason);
      channel.refuse(reason);
    });
    socket.once('close', () => {
      silence.cancel();
      this.#channels.delete(channel);
    });
    accepted(channel);
  }

  #refuse(socket: Socket, peer: string, reason: string): void {
    this.#tell(peer, reason);
    refuse(socket, reason, this.#options.clock);
  }

  #tell(peer: string, reason: string): void {
    if (!this.#isClosed) publish('tmem:ramster:refused', () => ({ peer, reason }));
  }

  #handshakeText(error: NodeJS.ErrnoException & { readonly reason?: string }): string {
    switch (error.code) {
      case 'ERR_TLS_HANDSHAKE_TIMEOUT':
        return `no TLS handshake within ${this.#handshakeTimeoutMs} ms`;
      case 'ERR_SSL_UNSUPPORTED_PROTOCOL':
        return 'it has no TLS 1.3';
      case 'ERR_SSL_WRONG_VERSION_NUMBER':
      case 'ERR_SSL_HTTP_REQUEST':
        return 'what it sent is no TLS';
      default:
        return `TLS handshake: ${error.reason ?? error.message}`;
    }
  }
}

/**
 * Transport over sockets: TCP with TLS 1.3 and certificates on both sides, or a unix socket, which the system guards.
 */

import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls, type SecureContextOptions, TLSSocket } from 'node:tls';
import { TmemError } from '../../zcache/index.ts';
import type { Clock } from '../clock.ts';
import { type NodeAddress, parseNodeAddress } from './address.ts';
import { judge, type NodeCertificates, tlsContextOf } from './identity.ts';
import { refuse } from './refusal.ts';
import { SocketChannel } from './socket-channel.ts';
import type { Transport } from './transport.ts';

export interface SocketTransportOptions {
  readonly clock: Clock;
  /** Undefined: TCP is not secured, and anybody may be at the other side. Meant for the loopback of one machine. */
  readonly tls: NodeCertificates | undefined;
  /** Bytes that may wait to be sent on a channel before it is closed; 8 MiB. */
  readonly pendingBytesMax?: number | undefined;
}

export class SocketTransport implements Transport {
  readonly #clock: Clock;
  readonly #pendingBytesMax: number | undefined;
  #context: SecureContextOptions | undefined;

  /** @throws TmemError TMEM_ERR_SETTING if the certificates cannot be used */
  constructor({ clock, tls, pendingBytesMax }: SocketTransportOptions) {
    this.#clock = clock;
    this.#pendingBytesMax = pendingBytesMax;
    this.#context = tls && tlsContextOf(tls);
  }

  /**
   * Certificates for connections from now on; those there are go on.
   *
   * @throws TmemError TMEM_ERR_SETTING if they cannot be used; then the older ones stay
   */
  setCertificates(tls: NodeCertificates): void {
    this.#context = tlsContextOf(tls);
  }

  /**
   * @throws TmemError TMEM_ERR_SETTING if the address is none, TMEM_ERR_PEER if it is the wrong node, has a certificate
   *   that is not accepted or cannot be reached, within `timeoutMs`
   */
  async connect(address: string, timeoutMs: number, name?: string): Promise<SocketChannel> {
    const socket = this.#begin(parseNodeAddress(address));
    await this.#established(socket, address, timeoutMs);
    let peerName: string | undefined;
    if (socket instanceof TLSSocket) {
      const verdict = judge(socket, name);
      if ('refused' in verdict) {
        refuse(socket, verdict.refused, this.#clock);
        throw new TmemError('TMEM_ERR_PEER', `${address} is refused: ${verdict.refused}`);
      }
      peerName = verdict.name;
    }
    return new SocketChannel(socket, {
      clock: this.#clock,
      peerName,
      peerAddress: address,
      pendingBytesMax: this.#pendingBytesMax,
    });
  }

  #begin(address: NodeAddress): Socket {
    if ('path' in address || this.#context === undefined) return connectPlain(address);
    return connectTls({
      ...address,
      ...this.#context,
      // `judge` decides, before anything is sent or read, and can say why to the other side.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    });
  }

  #established(socket: Socket, address: string, timeoutMs: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const fail = (reason: string, cause?: Error) => {
      socket.destroy();
      reject(new TmemError('TMEM_ERR_PEER', `cannot connect to ${address}: ${reason}`, { cause }));
    };
    const failed = (error: Error) => fail(textOf(error), error);
    const closed = () => fail('closed by the other side');
    const timer = this.#clock.after(timeoutMs, () => fail(`no connection within ${timeoutMs} ms`));
    socket.once('error', failed);
    socket.once('close', closed);
    socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', () => {
      socket.off('close', closed);
      resolve();
    });
    return promise.finally(() => timer.cancel());
  }
}

/** Of a host with several addresses each has an error of its own. */
function textOf(error: Error): string {
  return error instanceof AggregateError
    ? error.errors.map(({ message }: Error) => message).join('; ')
    : error.message;
}

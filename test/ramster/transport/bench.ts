/** Listeners and channels for one test, and all of it gone after it. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../../src/ramster/clock.ts';
import type { NodeCertificates } from '../../../src/ramster/transport/identity.ts';
import { ChannelListener, type ChannelListenerOptions } from '../../../src/ramster/transport/listener.ts';
import {
  SocketTransport,
  type SocketTransportOptions,
} from '../../../src/ramster/transport/socket-transport.ts';
import type { Channel } from '../../../src/ramster/transport/transport.ts';
import { encodeFrame } from '../../../src/ramster/wire/frame.ts';

const CONNECT_TIMEOUT_MS = 20_000;

/** A channel with everything that comes out of it. */
export class Heard {
  readonly channel: Channel;
  readonly frames: Buffer[] = [];
  readonly closed: Promise<string>;
  #wanted: { count: number; resolve: () => void } | undefined;

  constructor(channel: Channel) {
    this.channel = channel;
    const { promise, resolve } = Promise.withResolvers<string>();
    this.closed = promise;
    channel.listen({
      frame: (frame) => {
        this.frames.push(Buffer.from(frame));
        if (this.frames.length === this.#wanted?.count) this.#wanted.resolve();
      },
      closed: resolve,
    });
  }

  /** Resolves when so many frames have come in all. */
  async until(count: number): Promise<void> {
    if (this.frames.length >= count) return;
    await new Promise<void>((resolve) => {
      this.#wanted = { count, resolve };
    });
  }
}

export interface Bench {
  readonly listener: ChannelListener;
  /** The channel accepted next; each is given out once, in order. */
  readonly next: () => Promise<Channel>;
}

export function bench(
  tls: NodeCertificates | undefined,
  options: Partial<ChannelListenerOptions> = {},
): Bench {
  const ready: Channel[] = [];
  const wanted: ((channel: Channel) => void)[] = [];
  const accepted = (channel: Channel): void => {
    const resolve = wanted.shift();
    if (resolve === undefined) ready.push(channel);
    else resolve(channel);
  };
  const listener = new ChannelListener({ clock: systemClock, tls, accepted, ...options });
  onTestFinished(() => listener.close());
  const next = async (): Promise<Channel> =>
    ready.shift() ?? (await new Promise<Channel>((resolve) => wanted.push(resolve)));
  return { listener, next };
}

export function transport(
  tls: NodeCertificates | undefined,
  options: Partial<SocketTransportOptions> = {},
): SocketTransport {
  return new SocketTransport({ clock: systemClock, tls, ...options });
}

export async function connected(
  tls: NodeCertificates | undefined,
  address: string,
  name?: string,
  options?: Partial<SocketTransportOptions>,
): Promise<Channel> {
  const channel = await transport(tls, options).connect(address, CONNECT_TIMEOUT_MS, name);
  onTestFinished(() => channel.close('the test has ended'));
  return channel;
}

/** A socket that speaks as the test wants it to. */
export async function plainSocket(address: string): Promise<Socket> {
  const at = address.startsWith('unix:')
    ? { path: address.slice(5) }
    : { port: portOf(address), host: '127.0.0.1' };
  const socket = createConnection(at);
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}

export function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}

/** What the event said of those who were not let in. */
export function refusals(): { peer: string; reason: string }[] {
  const found: { peer: string; reason: string }[] = [];
  const note = (event: unknown): void => void found.push(event as { peer: string; reason: string });
  subscribe('tmem:ramster:refused', note);
  onTestFinished(() => void unsubscribe('tmem:ramster:refused', note));
  return found;
}

/** A frame with any body. */
export function frame(request: number, ...body: Uint8Array[]): Uint8Array[] {
  return encodeFrame({ type: 'put', isReply: false, status: 'ok', request }, ...body);
}

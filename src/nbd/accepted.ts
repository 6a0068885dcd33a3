/** What can be done with a socket that was accepted, beside serving it. */

import type { Socket } from 'node:net';
import { type Descriptors, publish } from '../zcache/index.ts';

/**
 * Another descriptor of an accepted socket, which stays valid when the socket is destroyed, in all threads. Undefined
 * if none can be had.
 */
export function descriptorOf(socket: Socket, system: Descriptors | undefined): number | undefined {
  // Node.js does not publish the number.
  const { fd = -1 } = (socket as Socket & { _handle?: { fd?: number } })._handle ?? {};
  return fd < 0 ? undefined : system?.duplicate(fd);
}

/** Closes a socket whose client is not let in, and tells why. */
export function refuse(socket: Socket, peer: string, reason: string): void {
  // Its client may have broken it off just now.
  socket.on('error', ignored);
  socket.destroy();
  publish('tmem:nbd:refused', () => ({ peer, reason }));
}

function ignored(): void {}

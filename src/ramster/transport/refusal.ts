/**
 * How a connection ends in order, and how one that is not taken says why, so that the people at the other side learn
 * it, too.
 *
 * A refusal is a refused reply to hello with a request id that no request has. Either side may send it, as its first
 * frame.
 */

import type { Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import { decodeFrame } from '../wire/frame.ts';
import { decodeRefusal, encodeRefusal } from '../wire/messages.ts';

/** Stands for no request. */
const NO_REQUEST = 0xffff_ffff;

/** How long the other side may take to read what was sent last. */
const LINGER_MS = 1000;

/** Says why and ends the connection. */
export function refuse(socket: Socket, reason: string, clock: Clock): void {
  const parts = encodeRefusal('hello', NO_REQUEST, { code: 'TMEM_ERR_PEER', message: reason });
  socket.write(Buffer.concat(parts));
  endSoon(socket, clock);
}

/**
 * Ends a connection of which nothing more is wanted, when the other side has got what was sent, or after a second. What
 * still arrives is thrown away: a socket that is destroyed with bytes unread takes those with it that it has sent.
 */
export function endSoon(socket: Socket, clock: Clock): void {
  socket.on('error', () => {});
  socket.end();
  socket.resume();
  const timer = clock.after(LINGER_MS, () => socket.destroy());
  socket.once('close', () => timer.cancel());
}

/**
 * The reason, if this is such a frame.
 *
 * @param frame - the first one of a connection
 * @throws WireError if it is none of this version
 */
export function refusalIn(frame: Uint8Array): string | undefined {
  const { type, isReply, status, request, body } = decodeFrame(frame);
  const isRefusal = type === 'hello' && isReply && status === 'refused' && request === NO_REQUEST;
  return isRefusal ? decodeRefusal(body).message : undefined;
}

// A peer that lies, as a process: it has a certificate of the cluster and speaks its protocol, always has room, says ok
// to everything, frees nothing, lists pages that nobody ever sent without end, and answers gets with what it likes.

import { randomBytes } from 'node:crypto';
import { systemClock } from '../../../src/ramster/index.ts';
import type { NodeCertificates } from '../../../src/ramster/transport/identity.ts';
import { ChannelListener } from '../../../src/ramster/transport/listener.ts';
import type { Channel } from '../../../src/ramster/transport/transport.ts';
import { decodeFrame, encodeFrame, type Frame, HEAD_BYTES } from '../../../src/ramster/wire/frame.ts';
import {
  decodeGet,
  decodePut,
  encodeGetReply,
  encodeHelloReply,
  encodeListReply,
  encodePingReply,
  encodeStatus,
  LIST_MOST,
} from '../../../src/ramster/wire/messages.ts';
import { serveCommands } from './commands.ts';

/** How gets are answered. */
const LIES = [
  ...(['garbage', 'flipped', 'others', 'older', 'shorter', 'longer', 'empty', 'misses'] as const),
  ...(['refusals', 'silence', 'other types', 'broken frames'] as const),
] as const;
export type Lie = (typeof LIES)[number];

/** More than anybody else. */
const FREE_BYTES = 2 ** 40;
const LEASE_MS = 600_000;
/** Of pages that are some KiB at most. */
const KEPT_MAX = 16_384;
const STATUS = { freeBytes: FREE_BYTES, draining: false };

const kept = new Map<number, Uint8Array>();
let lies: readonly Lie[] = LIES;
const told = new Map<Lie, number>(LIES.map((lie) => [lie, 0]));
let turns = 0;

/** Another page than the one that was asked for, of its length if there is one: the oldest such. */
function another(id: number, bytes: number): Uint8Array | undefined {
  for (const [other, page] of kept) if (other !== id && page.length === bytes) return page;
  return undefined;
}

function answerGet({ request, body }: Frame): Uint8Array[] | undefined {
  const { id } = decodeGet(body);
  if (lies.length === 0) {
    const right = kept.get(id);
    return right === undefined ? encodeStatus('get', request, 'miss') : encodeGetReply(request, right);
  }
  const page = kept.get(id) ?? randomBytes(1000);
  const lie = lies[turns++ % lies.length]!;
  told.set(lie, told.get(lie)! + 1);
  switch (lie) {
    case 'garbage':
      return encodeGetReply(request, randomBytes(page.length));
    case 'flipped': {
      const flipped = Uint8Array.from(page);
      flipped[turns % page.length]! ^= 1 << (turns % 8);
      return encodeGetReply(request, flipped);
    }
    case 'others':
      return encodeGetReply(request, [...kept.values()].at(-1) ?? page);
    case 'older':
      return encodeGetReply(request, another(id, page.length) ?? randomBytes(page.length));
    case 'shorter':
      return encodeGetReply(request, page.subarray(0, Math.max(1, page.length - 1)));
    case 'longer':
      return encodeGetReply(request, Buffer.concat([page, randomBytes(1)]).subarray(0, 4096));
    case 'empty':
      return encodeFrame({ type: 'get', isReply: true, status: 'ok', request });
    case 'misses':
      return encodeStatus('get', request, 'miss');
    case 'refusals':
      return encodeStatus('get', request, 'busy');
    case 'silence':
      return undefined;
    case 'other types':
      return encodeStatus('put', request, 'ok');
    case 'broken frames': {
      const parts = encodeGetReply(request, page).map((part) => Buffer.from(part));
      parts[0]![HEAD_BYTES - 1]! ^= 1;
      return parts;
    }
  }
}

/** A list that has no end, of ids that nobody ever gave. */
function answerList({ request }: Frame): Uint8Array[] {
  const pages = Array.from({ length: LIST_MOST }, (_, i) => ({ pool: i, id: 1 + ++turns }));
  return encodeListReply(request, { pages, next: randomBytes(8) });
}

function answer(frame: Frame, name: string): Uint8Array[] | undefined {
  const { type, request, body } = frame;
  switch (type) {
    case 'hello':
      return encodeHelloReply(request, {
        ...{ protocol: 1, name, memory: 7, instance: randomBytes(8), leaseMs: LEASE_MS, status: STATUS },
      });
    case 'ping':
      return encodePingReply(request, STATUS);
    case 'put': {
      const { id, bytes } = decodePut(body);
      if (kept.size < KEPT_MAX) kept.set(id, bytes.slice());
      return encodeStatus(type, request, 'ok');
    }
    case 'get':
      return answerGet(frame);
    case 'list':
      return answerList(frame);
    default:
      return encodeStatus(type, request, 'ok');
  }
}

function serve(channel: Channel, name: string): void {
  channel.listen({
    frame: (bytes) => {
      const reply = answer(decodeFrame(bytes), name);
      if (reply !== undefined) channel.send(...reply);
    },
    closed: () => {},
  });
}

const commands = {
  async open(name: string, address: string, tls: NodeCertificates): Promise<void> {
    const accepted = (channel: Channel) => serve(channel, name);
    await new ChannelListener({ clock: systemClock, tls, accepted }).listen(address);
  },
  /** Tells these from now on, in turns; none: gets are answered as they should be. */
  tell(some: readonly Lie[] | 'all'): void {
    lies = some === 'all' ? LIES : some;
  },
  /** How often each was told. */
  told: (): readonly (readonly [Lie, number])[] => [...told],
};

export type LiarCommands = typeof commands;

serveCommands(commands);

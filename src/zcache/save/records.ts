/**
 * The records in the blocks of a saved store: settings, clients, pools, pages. Bytes in, values out, and back.
 *
 * What is decoded is checked by the rules that `open`, `client` and `pool` have for their options, so that nothing
 * comes out of a file that could not have been in a store.
 */

import { Oid, PAGE_BYTES, TmemError } from '../../tmem/index.ts';
import { checkedName, clientOptions, poolOptions } from '../options.ts';
import type { Cursor } from './cursor.ts';
import {
  CLIENTS_MAX,
  NO_POOL,
  PAGE_HEAD_BYTES,
  POOLS_MAX,
  refused,
  type SavedClient,
  type SavedPage,
  type SavedPool,
  type SavedStore,
  SETTINGS_BYTES_MAX,
} from './format.ts';

const FROZEN = 1;
const EPHEMERAL = 2;
const UUID_BYTES = 16;

/** By their number in the file. */
const KINDS = ['ephemeral', 'persistent'] as const;
const CODECS = ['lz4', 'lzo', 'none'] as const;
const PAMS = ['zbud', 'zv', 'raw'] as const;

type Head = Omit<SavedStore, 'clients' | 'pools'> & { readonly clients: number; readonly pools: number };

export function encodeSettings(store: SavedStore): Buffer {
  const name = Buffer.from(store.name, 'utf8');
  const settings = Buffer.from(JSON.stringify(store.settings), 'utf8');
  const head = Buffer.alloc(12);
  head.writeUInt16LE((store.frozen ? FROZEN : 0) | (store.ephemeral ? EPHEMERAL : 0), 0);
  head.writeUInt16LE(store.clients.length, 2);
  head.writeUInt16LE(store.pools.length, 4);
  head.writeUInt16LE(name.length, 6);
  head.writeUInt32LE(settings.length, 8);
  return Buffer.concat([head, name, settings]);
}

export function decodeSettings(cursor: Cursor): Head {
  const flags = flagsOf(cursor.u16(), FROZEN | EPHEMERAL);
  const clients = cursor.u16();
  const pools = cursor.u16();
  if (clients > CLIENTS_MAX || pools > POOLS_MAX) {
    throw refused(`${clients} clients and ${pools} pools are more than a store can have`);
  }
  const nameBytes = cursor.u16();
  const settingsBytes = cursor.u32();
  if (settingsBytes > SETTINGS_BYTES_MAX) throw refused(`settings of ${settingsBytes} bytes are too long`);
  const name = cursor.text(nameBytes);
  if (name !== '') checked(() => checkedName('client', name));
  return {
    name,
    frozen: (flags & FROZEN) !== 0,
    ephemeral: (flags & EPHEMERAL) !== 0,
    settings: parseSettings(cursor.text(settingsBytes)),
    clients,
    pools,
  };
}

function parseSettings(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw refused('the settings are no JSON', cause);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw refused('the settings are no object');
}

export function encodeClient(client: SavedClient): Buffer {
  const name = Buffer.from(client.name, 'utf8');
  const head = Buffer.alloc(16);
  head.writeBigUInt64LE(BigInt(client.capBytes ?? 0), 0);
  head.writeUInt32LE(client.weight, 8);
  head.writeUInt16LE(client.frozen ? FROZEN : 0, 12);
  head.writeUInt16LE(name.length, 14);
  return Buffer.concat([head, name]);
}

export function decodeClient(cursor: Cursor): SavedClient {
  const cap = cursor.u64();
  const weight = cursor.u32();
  const flags = flagsOf(cursor.u16(), FROZEN);
  const name = cursor.text(cursor.u16());
  const capBytes = cap === 0 ? null : cap;
  checked(() => checkedName('client', name));
  checked(() => clientOptions({ weight, cap: capBytes ?? undefined }));
  return { name, weight, capBytes, frozen: (flags & FROZEN) !== 0 };
}

export function encodePool(pool: SavedPool): Buffer {
  const name = Buffer.from(pool.name, 'utf8');
  const head = Buffer.alloc(16);
  head.writeUInt8(KINDS.indexOf(pool.kind), 0);
  // Of no meaning in raw pools: 0, as it always was.
  head.writeUInt8(pool.pam === 'raw' ? 0 : CODECS.indexOf(pool.codec), 1);
  head.writeUInt8(PAMS.indexOf(pool.pam), 2);
  head.writeUInt8(pool.shared === null ? 0 : 1, 3);
  head.writeUInt32LE(pool.limitPages ?? 0, 4);
  head.writeUInt16LE(pool.demoteTo ?? NO_POOL, 8);
  head.writeUInt16LE(pool.client, 10);
  head.writeUInt16LE(name.length, 12);
  head.writeUInt16LE(pool.granted.length, 14);
  const uuid = Buffer.from((pool.shared ?? '').replaceAll('-', ''), 'hex');
  const granted = Buffer.alloc(2 * pool.granted.length);
  for (const [i, client] of pool.granted.entries()) granted.writeUInt16LE(client, 2 * i);
  return Buffer.concat([head, name, uuid, granted]);
}

/** Pool number `number` of a store of so many clients. */
export function decodePool(cursor: Cursor, number: number, clients: number): SavedPool {
  const kind = oneOf(KINDS, cursor.u8());
  const written = oneOf(CODECS, cursor.u8());
  const pam = oneOf(PAMS, cursor.u8());
  const codec = pam === 'raw' ? 'none' : written;
  const isShared = flagsOf(cursor.u8(), 1) === 1;
  const limit = cursor.u32();
  const target = cursor.u16();
  const client = cursor.u16();
  const nameBytes = cursor.u16();
  const grants = cursor.u16();
  const name = cursor.text(nameBytes);
  const shared = isShared ? uuidOf(cursor.take(UUID_BYTES)) : null;
  const granted = decodeGranted(cursor, grants, clients);
  const limitPages = limit === 0 ? null : limit;
  const demoteTo = target === NO_POOL ? null : target;
  if (client >= clients) throw refused(`pool ${number} names client ${client} of ${clients}`);
  if (demoteTo !== null && demoteTo >= number) {
    throw refused(`pool ${number} demotes to pool ${demoteTo}, which does not stand before it`);
  }
  if (shared === null && grants > 0) throw refused(`pool ${number} is not shared and has grants`);
  checked(() => checkedName('pool', name));
  checked(() =>
    poolOptions({
      kind,
      pam,
      codec,
      limit: limitPages ?? undefined,
      demoteTo: demoteTo === null ? undefined : {},
    }),
  );
  return { client, name, kind, codec, pam, shared, granted, limitPages, demoteTo };
}

function decodeGranted(cursor: Cursor, count: number, clients: number): number[] {
  const bytes = cursor.take(2 * count);
  const granted = Array.from({ length: count }, (_, i) => bytes.readUInt16LE(2 * i));
  const isOrdered = granted.every((client, i) => client < clients && (i === 0 || granted[i - 1] < client));
  if (!isOrdered) throw refused('the clients granted to a pool are out of order or do not exist');
  return granted;
}

function uuidOf(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** Writes a page's record; it takes PAGE_HEAD_BYTES and the page. */
export function encodePage(into: Buffer, at: number, { pool, oid, index, bytes }: SavedPage): void {
  into.writeUInt16LE(pool, at);
  into.writeUInt16LE(bytes.length, at + 2);
  into.writeUInt32LE(index, at + 4);
  into.set(oid.toBytes(), at + 8);
  into.set(bytes, at + PAGE_HEAD_BYTES);
}

/** The page's bytes lie in the block. */
export function decodePage(cursor: Cursor): SavedPage {
  const pool = cursor.u16();
  const length = cursor.u16();
  const index = cursor.u32();
  const oid = checked(() => Oid.fromBytes(cursor.take(24)));
  if (length === 0 || length > PAGE_BYTES) throw refused(`a page of ${length} bytes is impossible`);
  return { pool, oid, index, bytes: cursor.take(length) };
}

function flagsOf(flags: number, known: number): number {
  if ((flags & ~known) !== 0) throw refused(`unknown flags ${flags}`);
  return flags;
}

function oneOf<const Words extends readonly string[]>(words: Words, number: number): Words[number] {
  const word = words[number];
  if (word === undefined) throw refused(`${number} stands for none of ${words.join(', ')}`);
  return word;
}

/** Turns complaints about options into one about the file. */
function checked<T>(check: () => T): T {
  try {
    return check();
  } catch (cause) {
    if (TmemError.is(cause) && cause.code !== 'TMEM_ERR_SAVED_FILE') throw refused(cause.message, cause);
    throw cause;
  }
}

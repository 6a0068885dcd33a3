/**
 * The identity of the node whose memory a store is: a page in a hidden persistent pool, so it lives and dies with the
 * pages.
 *
 *   0 "tmid" | 4 u32 version | 8 u32 incarnation | 12 zero | 16 id of the store (16) | 32 memory (16) | 48 key (32)
 *
 * Rule: an incarnation is used by one start only. The page with the next one is published in one step before anything
 * is sent under it; a process that ends before that leaves the older page, which nobody uses again.
 *
 * The id of the store tells a copy: one that was restored elsewhere is another memory, or two nodes would give the same
 * page ids to different pages.
 */

import { randomBytes } from 'node:crypto';
import { CLUSTER_CLIENT, Oid, type Pool, type Store, TmemError } from '../../zcache/index.ts';
import { INCARNATION_MAX } from '../page-id.ts';
import type { Identity } from './local-pages.ts';

const POOL = 'identity';
const PAGE = Oid.fromString('identity');
const MAGIC = 0x64696d74;
const VERSION = 1;
const BYTES = 80;
const STORE_AT = 16;
const MEMORY_AT = 32;
const KEY_AT = 48;

/**
 * Reads the identity, or makes it, and begins a new incarnation.
 *
 * @throws TmemError TMEM_ERR_DAMAGED, TMEM_ERR_NO_MEMORY; TMEM_ERR_BUSY while the store is frozen
 */
export function beginIncarnation(store: Store): Identity {
  const pool = store.client(CLUSTER_CLIENT).pool(POOL, { kind: 'persistent', codec: 'none' });
  const before = read(pool, store.id);
  const identity = {
    memory: before?.memory ?? randomBytes(16),
    incarnation: (before?.incarnation ?? 0) + 1,
    key: before?.key ?? randomBytes(32),
  };
  if (identity.incarnation > INCARNATION_MAX) throw damaged(`incarnation ${identity.incarnation}`);
  const outcome = pool.replace(PAGE, 0, encode(identity, store.id));
  if (outcome === 'stored') return identity;
  if (outcome === 'frozen') {
    throw new TmemError(
      'TMEM_ERR_BUSY',
      'the store is frozen, and a node has to write into it; thaw it first',
    );
  }
  throw new TmemError(
    'TMEM_ERR_NO_MEMORY',
    `the identity of the node was refused (${outcome}); free pages, or give the store more memory`,
  );
}

/** Undefined: there is none, or it is that of the store of which this one is a copy. */
function read(pool: Pool, storeId: Uint8Array): Identity | undefined {
  const page = Buffer.alloc(BYTES);
  const length = peek(pool, page);
  if (length === 0) return undefined;
  const incarnation = page.readUInt32LE(8);
  if (length !== BYTES || page.readUInt32LE(0) !== MAGIC) throw damaged(`${length} bytes that are none`);
  if (page.readUInt32LE(4) !== VERSION) throw damaged(`version ${page.readUInt32LE(4)}`);
  if (incarnation === 0 || incarnation > INCARNATION_MAX) throw damaged(`incarnation ${incarnation}`);
  if (!page.subarray(STORE_AT, MEMORY_AT).equals(storeId)) return undefined;
  return { memory: page.subarray(MEMORY_AT, KEY_AT), incarnation, key: page.subarray(KEY_AT) };
}

function peek(pool: Pool, page: Buffer): number {
  try {
    return pool.peek(PAGE, 0, page);
  } catch (cause) {
    if (TmemError.is(cause) && (cause.code === 'TMEM_ERR_DAMAGED' || cause.code === 'TMEM_ERR_PAGE_LENGTH')) {
      throw damaged('a wrong length or checksum', cause);
    }
    throw cause;
  }
}

function encode({ memory, incarnation, key }: Identity, storeId: Uint8Array): Uint8Array {
  const page = Buffer.alloc(BYTES);
  page.writeUInt32LE(MAGIC, 0);
  page.writeUInt32LE(VERSION, 4);
  page.writeUInt32LE(incarnation, 8);
  page.set(storeId, STORE_AT);
  page.set(memory, MEMORY_AT);
  page.set(key, KEY_AT);
  return page;
}

function damaged(what: string, cause?: unknown): TmemError {
  return new TmemError(
    'TMEM_ERR_DAMAGED',
    `the identity of the node in this store is damaged (${what}); pages that are with peers cannot be read without ` +
      `it: remove the client '${CLUSTER_CLIENT}' to go on as a new node`,
    cause === undefined ? undefined : { cause },
  );
}

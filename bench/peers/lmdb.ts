// Puts and gets of the same pages in the same random order through lmdb (its LZ4, no sync) and through the store (LZ4,
// zv), both on this thread, by its CPU time. lmdb's puts go into transactions of a thousand, which is the fastest way
// to put into it from one thread; gets give a Buffer that lmdb owns. Its file lies on a memory file system where there
// is one. Both start each round without the pages.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Oid, open, type Pool } from '../../src/index.ts';
import type { BenchOptions, Figures } from '../run.ts';
import { median, rounded, threadCpuNs } from '../support/measure.ts';
import { visitOrder } from '../support/order.ts';
import { loadPages, PAGE_BYTES, withoutSameFilled } from '../support/pages.ts';

const ROUNDS = 5;
const WARM_UP_ROUNDS = 1;
const PAGES = 50_000;
const ORDER_SEED = 20_260_101;
const TRANSACTION_PUTS = 1000;
const MEMORY = '256 MiB';
/** Room for the pages and for what copy-on-write leaves behind. */
const LMDB_MAP_BYTES = 2 ** 30;
const MEMORY_FILES = '/dev/shm';

/** What of lmdb's database is used here. */
interface Database {
  transactionSync(work: () => void): void;
  putSync(key: number, value: Uint8Array): unknown;
  getBinaryFast(key: number): Uint8Array | undefined;
  getBinary(key: number): Uint8Array | undefined;
  clearSync(): void;
  close(): Promise<void>;
}

export async function measureLmdb({ pages: file, say }: BenchOptions): Promise<Figures> {
  const pages = withoutSameFilled(loadPages(file));
  const order = visitOrder(PAGES, ORDER_SEED);
  const content = Buffer.allocUnsafeSlow(PAGES * PAGE_BYTES);
  for (let at = 0; at < content.length; at += pages.bytes.length) pages.bytes.copy(content, at);
  const views = Array.from(order, (page) => content.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES));
  const directory = mkdtempSync(join(existsSync(MEMORY_FILES) ? MEMORY_FILES : tmpdir(), 'tmem-bench-'));
  const ns = { ourPut: [] as number[], ourGet: [] as number[], put: [] as number[], get: [] as number[] };
  try {
    const lmdb = await openLmdb(join(directory, 'pages.mdb'));
    // Without a device behind the store, as lmdb: what does not compress is kept as it is.
    using store = open({ memory: MEMORY, incompressible: 'store', prefault: true });
    const pool = store.client('bench').pool('pages', { kind: 'persistent', codec: 'lz4', pam: 'zv' });
    try {
      for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
        const theirs = { put: lmdbPuts(lmdb, order, views), get: lmdbGets(lmdb, order, content) };
        const ours = { put: ourPuts(pool, order, views), get: ourGets(pool, order, content) };
        lmdb.clearSync();
        pool.flush();
        if (round < WARM_UP_ROUNDS) continue;
        ns.put.push(theirs.put);
        ns.get.push(theirs.get);
        ns.ourPut.push(ours.put);
        ns.ourGet.push(ours.get);
      }
    } finally {
      await lmdb.close();
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
  const us = (values: number[]) => (median(values) / 1000).toFixed(2);
  say(
    `${PAGES} pages; put: ${us(ns.ourPut)} µs, lmdb ${us(ns.put)}; get: ${us(ns.ourGet)} µs, lmdb ${us(ns.get)}`,
  );
  return {
    put_vs_lmdb_lz4: rounded(median(ns.put) / median(ns.ourPut), 2),
    get_vs_lmdb_lz4: rounded(median(ns.get) / median(ns.ourGet), 2),
  };
}

async function openLmdb(path: string): Promise<Database> {
  let lmdb: { open(options: object): unknown };
  try {
    lmdb = await import('lmdb');
  } catch (cause) {
    throw new Error('missing: lmdb from npm, with its prebuilt binary for this machine (npm ci)', { cause });
  }
  const options = { compression: true, noSync: true, encoding: 'binary', keyEncoding: 'uint32' };
  return lmdb.open({ path, ...options, mapSize: LMDB_MAP_BYTES }) as Database;
}

function lmdbPuts(lmdb: Database, order: Uint32Array, views: readonly Buffer[]): number {
  const spent = threadCpuNs(() => {
    for (let first = 0; first < order.length; first += TRANSACTION_PUTS) {
      const end = Math.min(first + TRANSACTION_PUTS, order.length);
      lmdb.transactionSync(() => {
        for (let i = first; i < end; i++) lmdb.putSync(order[i], views[i]);
      });
    }
  });
  return spent / order.length;
}

function ourPuts(pool: Pool, order: Uint32Array, views: readonly Buffer[]): number {
  const oids = Array.from({ length: Math.ceil(order.length / 64) }, (_, i) => Oid.fromNumbers(i));
  let stored = 0;
  const spent = threadCpuNs(() => {
    for (let i = 0; i < order.length; i++) {
      if (pool.put(oids[order[i] >>> 6], order[i] & 63, views[i]) === 'stored') stored++;
    }
  });
  if (stored !== order.length) throw new Error(`only ${stored} of ${order.length} pages were stored`);
  return spent / order.length;
}

function lmdbGets(lmdb: Database, order: Uint32Array, content: Buffer): number {
  let bytes = 0;
  const spent = threadCpuNs(() => {
    for (let i = 0; i < order.length; i++) bytes += lmdb.getBinaryFast(order[i])!.length;
  });
  if (bytes !== order.length * PAGE_BYTES) throw new Error('lmdb: a get missed');
  for (const page of order) check('lmdb', page, lmdb.getBinary(page)!, content);
  return spent / order.length;
}

function ourGets(pool: Pool, order: Uint32Array, content: Buffer): number {
  const oids = Array.from({ length: Math.ceil(order.length / 64) }, (_, i) => Oid.fromNumbers(i));
  const out = Buffer.allocUnsafeSlow(PAGE_BYTES);
  let bytes = 0;
  const spent = threadCpuNs(() => {
    for (let i = 0; i < order.length; i++) bytes += pool.get(oids[order[i] >>> 6], order[i] & 63, out);
  });
  if (bytes !== order.length * PAGE_BYTES) throw new Error('a get missed');
  for (const page of order) {
    pool.get(oids[page >>> 6], page & 63, out);
    check('the store', page, out, content);
  }
  return spent / order.length;
}

function check(who: string, page: number, bytes: Uint8Array, content: Buffer): void {
  if (content.compare(bytes, 0, bytes.length, page * PAGE_BYTES, (page + 1) * PAGE_BYTES) !== 0) {
    throw new Error(`${who} gives other bytes than were put for page ${page}`);
  }
}

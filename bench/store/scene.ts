// What the measurements of the store share: real pages that every pool takes, laid out as content much larger than
// the processor's caches, the handles they go under, and the compiled native controls.
//
//   content:  page i is page i % count of the file, i = 0 .. contentPages - 1       handle: object i / 64, index i % 64
//
// Same-filled pages and pages that a pool refuses are left out on both sides.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Oid, open, type Pool } from '../../src/index.ts';
import { CONTROL_SOURCE, compileNative, NativeControl, type Operation } from '../support/native.ts';
import { loadPages, PAGE_BYTES, type Pages, withoutSameFilled } from '../support/pages.ts';

export const CONTENT_MIB = 512;
export const CONTENT_PAGES = (CONTENT_MIB * 2 ** 20) / PAGE_BYTES;
/** A page tree with one full node. */
export const PAGES_AN_OBJECT = 64;
/** Any but 0; the same on both sides. */
export const ORDER_SEED = 20_260_101;

const SCALING_SOURCE = new URL('../native/scaling.c', import.meta.url);

export interface Scene {
  say: (line: string) => void;
  /** Distinct pages, none same-filled, none refused. */
  pages: Pages;
  /** Compressed bytes of each distinct page, as the store keeps it. */
  sizes: readonly number[];
  /** The distinct pages, for the native controls. */
  pagesFile: string;
  /** The distinct pages over and over: CONTENT_MIB of memory. */
  content: Buffer;
  /** Executable of bench/native/scaling.c. */
  scaling: string;
  control(operation: Operation, rounds: number): NativeControl;
  dispose(): void;
}

export function openScene(file: string | undefined, say: (line: string) => void): Scene {
  const all = withoutSameFilled(loadPages(file));
  const { pages, sizes } = keepable(all);
  say(
    `${pages.count} pages of ${pages.source}, same-filled ones and ${all.count - pages.count} that are refused ` +
      `left out; laid out as ${CONTENT_MIB} MiB`,
  );
  const directory = mkdtempSync(join(tmpdir(), 'tmem-bench-'));
  const dispose = () => rmSync(directory, { recursive: true });
  try {
    const executable = join(directory, 'control');
    const scaling = join(directory, 'scaling');
    const pagesFile = join(directory, 'pages.bin');
    compileNative(CONTROL_SOURCE, executable);
    compileNative(SCALING_SOURCE, scaling);
    writeFileSync(pagesFile, pages.bytes);
    const control = (operation: Operation, rounds: number) =>
      new NativeControl(executable, {
        codec: 'lz4',
        operation,
        pagesFile,
        contentMiB: CONTENT_MIB,
        orderSeed: ORDER_SEED,
        rounds,
      });
    return { say, pages, sizes, pagesFile, content: layOut(pages), scaling, control, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

function layOut(pages: Pages): Buffer {
  const content = Buffer.allocUnsafeSlow(CONTENT_PAGES * PAGE_BYTES);
  for (let at = 0; at < content.length; at += pages.bytes.length) pages.bytes.copy(content, at);
  return content;
}

/** The pages that both zbud and zv take, and the bytes each takes compressed. */
export function keepable(all: Pages): { pages: Pages; sizes: number[] } {
  using store = open({ memory: '64 MiB' });
  const client = store.client('bench');
  const pools = (['zbud', 'zv'] as const).map((pam) =>
    client.pool(pam, { kind: 'persistent', codec: 'lz4', pam }),
  );
  const kept: Buffer[] = [];
  const sizes: number[] = [];
  for (let i = 0; i < all.count; i++) {
    const page = all.bytes.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
    const oid = Oid.fromNumbers(i);
    const taken = pools.every((pool) => pool.put(oid, 0, page) === 'stored');
    if (taken) {
      kept.push(page);
      sizes.push(pools[0].stats().content.curr_zbytes);
    }
    for (const pool of pools) pool.flushPage(oid, 0);
  }
  return { pages: { bytes: Buffer.concat(kept), count: kept.length, source: all.source }, sizes };
}

/** Oids of the objects that `pages` pages lie in. */
export function makeOids(pages: number, pagesAnObject = PAGES_AN_OBJECT): Oid[] {
  return Array.from({ length: Math.ceil(pages / pagesAnObject) }, (_, i) => Oid.fromNumbers(i));
}

/** The content's pages as buffers of their own, in the order they will be visited. */
export function viewsOf(content: Buffer, order: Uint32Array): Buffer[] {
  return Array.from(order, (page) => content.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES));
}

/** @throws Error when a page of the content is missing or different in the pool, which keeps it */
export function verifyContent(pool: Pool, scene: Scene, oids: readonly Oid[]): void {
  const out = Buffer.alloc(PAGE_BYTES);
  for (let page = 0; page < CONTENT_PAGES; page++) {
    const length = pool.getAndKeep(oids[page >>> 6], page & 63, out);
    if (
      length !== PAGE_BYTES ||
      out.compare(scene.content, page * PAGE_BYTES, (page + 1) * PAGE_BYTES) !== 0
    ) {
      throw new Error(`page ${page} is not what was put`);
    }
  }
}

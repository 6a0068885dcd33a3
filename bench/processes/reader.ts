// One of several processes that read blocks of files in a skewed random order, through one shared store or through an
// lru-cache of its own.

import { open as openFile } from 'node:fs/promises';
import { LRUCache } from 'lru-cache';
import { PageCache } from '../../src/cleancache/index.ts';
import { open } from '../../src/index.ts';
import { collectGarbage } from '../support/collect.ts';
import { answer } from '../support/helper.ts';
import { numbersBelow } from '../support/order.ts';

/** Part of a file; blocks are listed with the most popular one first. */
export interface Block {
  path: string;
  position: number;
  length: number;
}

export type ReaderMessage =
  | { what: 'store'; name: string; blockBytes: number }
  | { what: 'lru'; bytes: number }
  | { what: 'read'; blocks: readonly Block[]; cumulative: Float64Array; requests: number; seed: number }
  | { what: 'collect' };

export interface Hits {
  requests: number;
  /** Requests answered without reading a file. */
  hits: number;
  bytes: number;
}

/** Reads one block; whether it was a hit. */
type Read = (block: Block) => Promise<boolean>;

let read: Read;

function throughStore(name: string, blockBytes: number): Read {
  const out = Buffer.allocUnsafeSlow(blockBytes);
  const cache = new PageCache({ store: open({ name }) });
  return async ({ path, position, length }) => {
    const before = cache.counters.source_reads;
    const file = await cache.open(path);
    const { bytesRead } = await file.read(out, 0, length, position);
    await file.close();
    if (bytesRead !== length) throw new Error(`${path}: ${bytesRead} bytes at ${position}`);
    return cache.counters.source_reads === before;
  };
}

function throughLru(maxSize: number): Read {
  const cache = new LRUCache<string, Buffer>({ maxSize, sizeCalculation: (bytes) => bytes.length });
  return async ({ path, position, length }) => {
    const key = `${path}:${position}`;
    if (cache.get(key) !== undefined) return true;
    const bytes = Buffer.allocUnsafeSlow(length);
    const file = await openFile(path);
    const { bytesRead } = await file.read(bytes, 0, length, position);
    await file.close();
    if (bytesRead !== length) throw new Error(`${path}: ${bytesRead} bytes at ${position}`);
    cache.set(key, bytes);
    return false;
  };
}

/** The first index whose cumulated weight is above `point`. */
function indexAt(cumulative: Float64Array, point: number): number {
  let low = 0;
  let high = cumulative.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (cumulative[middle]! > point) high = middle;
    else low = middle + 1;
  }
  return low;
}

answer(async (message: ReaderMessage): Promise<Hits | undefined> => {
  if (message.what === 'store') read = throughStore(message.name, message.blockBytes);
  else if (message.what === 'lru') read = throughLru(message.bytes);
  else if (message.what === 'collect') collectGarbage();
  else {
    const { blocks, cumulative, requests, seed } = message;
    const below = numbersBelow(seed);
    const total = cumulative.at(-1)!;
    let hits = 0;
    let bytes = 0;
    for (let i = 0; i < requests; i++) {
      const block = blocks[indexAt(cumulative, (below(2 ** 32) / 2 ** 32) * total)]!;
      if (await read(block)) hits++;
      bytes += block.length;
    }
    return { requests, hits, bytes };
  }
  return undefined;
});

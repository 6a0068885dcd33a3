// One store for four processes against four lru-caches of the same memory together: skewed reads (Zipf 0.9) of blocks
// of real files, those of node_modules. Each process reads in an order of its own, but they like the same blocks.
//
// Memory is what the processes take from outside: what they have grown by, the store's file counted once. The private
// caches then get what they took less than the shared one, and are measured again.

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { open } from '../../src/index.ts';
import type { BenchOptions, Figures } from '../run.ts';
import { Helper } from '../support/helper.ts';
import { rounded } from '../support/measure.ts';
import { StoreName } from '../support/named.ts';
import { visitOrder } from '../support/order.ts';
import { totalBytes } from '../support/resident.ts';
import type { Block, Hits, ReaderMessage } from './reader.ts';

const PROCESSES = 4;
const MEMORY_BYTES = 64 * 2 ** 20;
const BLOCK_BYTES = 64 * 1024;
const SKEW = 0.9;
/** Of each process: to fill the caches, and then to count. */
const WARM_UP_REQUESTS = 15_000;
const REQUESTS = 15_000;
const ORDER_SEED = 20_260_101;
const TREE = fileURLToPath(new URL('../../node_modules/', import.meta.url));
const FILE = new URL('reader.ts', import.meta.url);
const MIB = 2 ** 20;

interface Outcome {
  hitRatio: number;
  grownBytes: number;
}

export async function measureHitRatio({ say }: BenchOptions): Promise<Figures> {
  const blocks = blocksOf(TREE);
  const dataBytes = blocks.reduce((sum, { length }) => sum + length, 0);
  const shared = await readShared(blocks);
  const even = await readPrivately(blocks, MEMORY_BYTES);
  const left = Math.max(0, shared.grownBytes - even.grownBytes);
  const privately = left === 0 ? even : await readPrivately(blocks, MEMORY_BYTES + left);
  const told = ({ hitRatio, grownBytes }: Outcome) =>
    `${(100 * hitRatio).toFixed(1)} % of requests in ${(grownBytes / MIB).toFixed(0)} MiB`;
  say(
    `${PROCESSES} processes, ${blocks.length} blocks of ${(dataBytes / MIB).toFixed(0)} MiB: one store of ` +
      `${MEMORY_BYTES / MIB} MiB finds ${told(shared)}, lru-caches ${told(privately)}`,
  );
  return {
    hit_ratio_shared: rounded(shared.hitRatio),
    hit_ratio_private: rounded(privately.hitRatio),
    hit_ratio_shared_mib: rounded(shared.grownBytes / MIB, 1),
    hit_ratio_private_mib: rounded(privately.grownBytes / MIB, 1),
  };
}

/** All files of a tree in blocks, in a random order; of those with several names one. Tools write to hidden ones. */
function blocksOf(tree: string): Block[] {
  const seen = new Set<string>();
  const blocks: Block[] = [];
  const entries = readdirSync(tree, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const path of paths.sort()) {
    if (path.includes('/.', tree.length - 1)) continue;
    const { dev, ino, size } = statSync(path);
    if (seen.has(`${dev} ${ino}`)) continue;
    seen.add(`${dev} ${ino}`);
    for (let position = 0; position < size; position += BLOCK_BYTES)
      blocks.push({ path, position, length: Math.min(BLOCK_BYTES, size - position) });
  }
  return Array.from(visitOrder(blocks.length, ORDER_SEED), (index) => blocks[index]!);
}

async function readShared(blocks: readonly Block[]): Promise<Outcome> {
  using name = new StoreName('bench');
  using _store = open({ name: name.name, memory: MEMORY_BYTES });
  return await readAll(blocks, { what: 'store', name: name.name, blockBytes: BLOCK_BYTES }, [name.path]);
}

function readPrivately(blocks: readonly Block[], bytes: number): Promise<Outcome> {
  return readAll(blocks, { what: 'lru', bytes: Math.floor(bytes / PROCESSES) }, []);
}

async function readAll(
  blocks: readonly Block[],
  cache: ReaderMessage,
  files: readonly string[],
): Promise<Outcome> {
  const helpers = await Promise.all(Array.from({ length: PROCESSES }, () => Helper.start(FILE)));
  const all = <Result>(message: (seed: number) => ReaderMessage) =>
    Promise.all(helpers.map((helper, i) => helper.ask<Result>(message(i + 1))));
  try {
    const cumulative = zipf(blocks.length);
    const read = (requests: number, round: number) =>
      all<Hits>((seed) => ({ what: 'read', blocks, cumulative, requests, seed: seed + round * PROCESSES }));
    const pids = helpers.map(({ pid }) => pid);
    await all(() => ({ what: 'collect' }));
    const before = totalBytes(pids, []);
    await all(() => cache);
    await read(WARM_UP_REQUESTS, 0);
    const counted = await read(REQUESTS, 1);
    await all(() => ({ what: 'collect' }));
    const hits = counted.reduce((sum, one) => sum + one.hits, 0);
    return { hitRatio: hits / (PROCESSES * REQUESTS), grownBytes: totalBytes(pids, files) - before };
  } finally {
    await Promise.all(helpers.map((helper) => helper.kill()));
  }
}

/** Cumulated weights 1 / rank^SKEW. */
function zipf(count: number): Float64Array {
  const cumulative = new Float64Array(count);
  let sum = 0;
  for (let rank = 1; rank <= count; rank++) {
    sum += 1 / rank ** SKEW;
    cumulative[rank - 1] = sum;
  }
  return cumulative;
}

// What the store costs those it cannot help: every file of a large tree is read once, from start to end, through
// openCached over an empty store, and the same by node:fs/promises with the same request size, one after the other in
// each round, taking turns at being first. The files are in the system's page cache, so that the reads are as cheap as
// they get and the cost shows most. The figure is the median of the rounds' ratios: what disturbs the machine for
// longer than a round disturbs both.

import { type FileHandle, open as openFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import { openCached } from '../src/cleancache/index.ts';
import { open } from '../src/index.ts';
import type { BenchOptions, Figures } from './run.ts';
import { median, rounded } from './support/measure.ts';
import { type Target, targetTable } from './support/targets.ts';

const ROUNDS = 7;
/** The first of them compares what both read. */
const WARM_UP_ROUNDS = 2;
/** As fs.createReadStream asks for. */
const REQUEST_BYTES = 64 * 1024;
const TREE = new URL('../node_modules/', import.meta.url);
const FILES_MAX = 20_000;
const MEMORY = '64 MiB';

const TARGETS: readonly Target[] = [{ field: 'read_once_vs_fs', least: 0.9 }];

/** What of a FileHandle is used; a CachedFile has it too. */
type Reading = Pick<FileHandle, 'read' | 'close'>;

interface Pass {
  wallMs: number;
  /** Of all threads of the process, those that do the reads of node:fs included. */
  cpuMs: number;
  bytes: number;
  sum: number;
}

export async function run({ say }: BenchOptions): Promise<Figures> {
  const files = await filesOf(fileURLToPath(TREE));
  const passes: Record<'fs' | 'cached', Pass[]> = { fs: [], cached: [] };
  // All stay open until the end, and nothing is collected by force: a full collection while no file is open makes the
  // engine throw away the machine code of our side, and each pass would be that of a program that has just started.
  using stores = new DisposableStack();
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    const verify = round === 0;
    const store = stores.use(open({ memory: MEMORY }));
    const readFs = () => readAll(files, (path) => openFile(path), verify);
    const readCached = () => readAll(files, (path) => openCached(path, { store }), verify);
    let fs: Pass;
    let cached: Pass;
    if (round % 2 === 0) {
      fs = await readFs();
      cached = await readCached();
    } else {
      cached = await readCached();
      fs = await readFs();
    }
    if (fs.bytes !== cached.bytes || fs.sum !== cached.sum)
      throw new Error('openCached read other bytes than fs');
    if (round < WARM_UP_ROUNDS) continue;
    passes.fs.push(fs);
    passes.cached.push(cached);
  }
  const of = (who: keyof typeof passes, field: keyof Pass) => median(passes[who].map((pass) => pass[field]));
  say(
    `${files.length} files, ${(of('fs', 'bytes') / 2 ** 20).toFixed(0)} MiB, ` +
      `requests of ${REQUEST_BYTES / 1024} KiB: ` +
      `fs ${of('fs', 'wallMs').toFixed(0)} ms (CPU ${of('fs', 'cpuMs').toFixed(0)}), openCached ` +
      `${of('cached', 'wallMs').toFixed(0)} ms (CPU ${of('cached', 'cpuMs').toFixed(0)})`,
  );
  const ratio = (field: 'wallMs' | 'cpuMs') =>
    rounded(median(passes.fs.map((pass, round) => pass[field] / passes.cached[round]![field])));
  const figures = { read_once_vs_fs: ratio('wallMs'), read_once_vs_fs_cpu: ratio('cpuMs') };
  say('');
  for (const line of targetTable(figures, TARGETS)) say(line);
  return figures;
}

/** Files of a tree; of those with several names (hard links) one, because under a second one it is read again. */
async function filesOf(tree: string): Promise<string[]> {
  const entries = await readdir(tree, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const nameOf = new Map<string, string>();
  for (const path of paths.sort().slice(0, FILES_MAX)) {
    const { dev, ino } = await stat(path, { bigint: true });
    const file = `${dev} ${ino}`;
    if (!nameOf.has(file)) nameOf.set(file, path);
  }
  return [...nameOf.values()];
}

async function readAll(
  files: readonly string[],
  openOne: (path: string) => Promise<Reading>,
  verify: boolean,
): Promise<Pass> {
  const buffer = Buffer.allocUnsafeSlow(REQUEST_BYTES);
  let bytes = 0;
  let sum = 0;
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  for (const path of files) {
    const file = await openOne(path);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, REQUEST_BYTES, null);
      if (bytesRead === 0) break;
      bytes += bytesRead;
      if (verify) sum = crc32(buffer.subarray(0, bytesRead), sum);
    }
    await file.close();
  }
  const wallMs = performance.now() - startMs;
  const { user, system } = process.cpuUsage(cpu);
  return { wallMs, cpuMs: (user + system) / 1000, bytes, sum };
}

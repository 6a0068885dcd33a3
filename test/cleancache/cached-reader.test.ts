// Reads that overlap in time, on a source whose every answer the test decides.
import { expect, test } from 'vitest';
import { CachedReader } from '../../src/cleancache/cached-reader.ts';
import { CheckGate } from '../../src/cleancache/check-gate.ts';
import { Cleancache, MapCleancacheBackend, PageCache } from '../../src/cleancache/index.ts';
import type { PageSource, SourceIdentity } from '../../src/cleancache/page-source.ts';
import { Oid } from '../../src/zcache/index.ts';

class ScriptedSource implements PageSource {
  bytes: Uint8Array;
  state: SourceIdentity;
  /** The state that the last look told. */
  seen: SourceIdentity | undefined;
  /** Reads asked for, as [position, length], and what lets the next ones go on. */
  readonly asked: [number, number][] = [];
  readonly pending: (() => void)[] = [];
  held = false;
  failing = false;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.state = { key: Oid.fromNumbers(1), size: bytes.length, changedAtMs: 0 };
  }

  identityNow(): SourceIdentity | undefined {
    this.seen ??= this.state;
    return this.seen === this.state ? this.state : undefined;
  }

  async identity(): Promise<SourceIdentity> {
    this.seen = this.state;
    return this.state;
  }

  async read(buffers: readonly Uint8Array[], position: number): Promise<number> {
    this.asked.push([position, buffers.reduce((sum, { length }) => sum + length, 0)]);
    if (this.held) await new Promise<void>((go) => this.pending.push(go));
    if (this.failing) throw new Error('unreadable');
    let done = 0;
    for (const buffer of buffers) {
      const piece = this.bytes.subarray(position + done, position + done + buffer.length);
      buffer.set(piece);
      done += piece.length;
    }
    return done;
  }

  async close(): Promise<void> {}
}

function bench(length = 100_000, settings = { maxStaleMs: 0, readaheadBytes: 262_144 }) {
  const shim = new Cleancache();
  shim.register(new MapCleancacheBackend());
  const cache = new PageCache({ cleancache: shim, admit: 'first-read', now: () => 1_000_000 });
  const source = new ScriptedSource(Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 0xff));
  const readers = Array.from({ length: 3 }, () => new CachedReader(source, cache, settings));
  const read = async (reader: CachedReader, position: number, bytes: number) => {
    const out = new Uint8Array(bytes);
    await reader.check();
    const length = await reader.read(out, position);
    return out.subarray(0, length);
  };
  return { cache, source, readers, read };
}

/** Lets everything that can go on do so. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

test('several readers of a missing page share one read of the source', async () => {
  const { cache, source, readers, read } = bench();
  source.held = true;
  const reads = readers.map((reader, i) => read(reader, 40_000 + i, 50));
  await settle();
  expect(source.asked).toEqual([[36_864, 4096]]);
  for (const go of source.pending) go();
  const expected = [0, 1, 2].map((i) => source.bytes.subarray(40_000 + i, 40_050 + i));
  expect(await Promise.all(reads)).toEqual(expected);
  expect(cache.stats()).toMatchObject({ source_reads: 1, joined_reads: 2 });
});

test('whoever waited for a read that failed reads for itself', async () => {
  const { source, readers, read } = bench();
  source.held = true;
  source.failing = true;
  const first = read(readers[0]!, 40_000, 50);
  const second = read(readers[1]!, 40_000, 50);
  const failed = expect(first).rejects.toThrow('unreadable');
  await settle();
  source.pending.shift()?.();
  await failed;
  await settle();
  source.failing = false;
  source.pending.shift()?.();
  expect(await second).toEqual(source.bytes.subarray(40_000, 40_050));
});

test('nobody joins a read of an older state of the source', async () => {
  const { source, readers, read } = bench();
  source.held = true;
  const old = read(readers[0]!, 40_000, 50);
  await settle();
  source.state = { ...source.state, key: Oid.fromNumbers(2) };
  const now = read(readers[1]!, 40_000, 50);
  await settle();
  expect(source.asked.length).toBe(2);
  for (const go of source.pending) go();
  await Promise.all([old, now]);
});

test('a sequential reader reads the source in larger and larger pieces', async () => {
  const { source, readers, read } = bench(1_000_000);
  const [reader] = readers;
  const pieces: Uint8Array[] = [];
  for (let position = 0; position < 1_000_000; position += 5000) {
    pieces.push(await read(reader!, position, 5000));
  }
  expect(Buffer.concat(pieces).equals(source.bytes)).toBe(true);
  const lengths = source.asked.map(([, length]) => length);
  expect(lengths.length).toBeLessThan(12);
  expect(Math.max(...lengths)).toBe(262_144);
});

test('a sequential reader of large pieces reads them as they are', async () => {
  const { source, readers, read } = bench(1_000_000);
  for (let position = 0; position < 524_288; position += 131_072) await read(readers[0]!, position, 131_072);
  expect(source.asked).toEqual([0, 1, 2, 3].map((i) => [i * 131_072, 131_072]));
});

test('many reads under way are joined by those who need their bytes, and by nobody after they ended', async () => {
  const { source, readers, read } = bench(1_000_000);
  source.held = true;
  const pages = [10, 50, 90, 130];
  const first = pages.map((page) => read(readers[0]!, page * 4096, 100));
  await settle();
  const joined = pages.map((page) => read(readers[1]!, page * 4096 + 50, 50));
  await settle();
  expect(source.asked.length).toBe(4);
  for (const go of source.pending.splice(0)) go();
  await Promise.all(first);
  for (const [i, page] of pages.entries()) {
    expect(await joined[i]).toEqual(source.bytes.subarray(page * 4096 + 50, page * 4096 + 100));
  }
  source.state = { ...source.state, key: Oid.fromNumbers(2) };
  const later = read(readers[2]!, 10 * 4096, 100);
  await settle();
  expect(source.asked.length).toBe(5);
  for (const go of source.pending) go();
  await later;
});

test('a reader that jumps reads whole pages and no more', async () => {
  const { source, readers, read } = bench(1_000_000);
  for (const position of [500_000, 100, 900_000]) await read(readers[0]!, position, 10);
  expect(source.asked).toEqual([
    [499_712, 4096],
    [0, 4096],
    [897_024, 4096],
  ]);
});

test('bytes read ahead are not returned once the source has changed', async () => {
  const { source, readers, read } = bench(100_000);
  const [reader] = readers;
  await read(reader!, 0, 1000);
  await read(reader!, 1000, 4000);
  source.bytes = source.bytes.map((byte) => byte ^ 0xff);
  source.state = { ...source.state, key: Oid.fromNumbers(2) };
  expect(await read(reader!, 5000, 1000)).toEqual(source.bytes.subarray(5000, 6000));
});

test('bytes that were being read ahead when the source changed are not returned either', async () => {
  const { source, readers, read } = bench(100_000);
  const [reader] = readers;
  await read(reader!, 0, 1000);
  source.held = true;
  const ahead = read(reader!, 1000, 4000);
  await settle();
  source.state = { ...source.state, key: Oid.fromNumbers(2) };
  await reader!.check();
  source.held = false;
  for (const go of source.pending) go();
  await ahead;
  source.bytes = source.bytes.map((byte) => byte ^ 0xff);
  expect(await read(reader!, 5000, 1000)).toEqual(source.bytes.subarray(5000, 6000));
});

test('a source that ends early gives what it has, and the short page is not kept', async () => {
  const { source, readers, read } = bench(100_000);
  source.bytes = source.bytes.subarray(0, 42_000);
  expect((await read(readers[0]!, 40_000, 10_000)).length).toBe(2000);
  expect((await read(readers[1]!, 40_000, 10_000)).length).toBe(2000);
  expect((await read(readers[1]!, 40_900, 60)).length).toBe(60);
});

test('what lies beyond 2^32 pages is read past the cache', async () => {
  const { cache, source, readers } = bench();
  source.state = { ...source.state, size: 2 ** 45 };
  await readers[0]!.check();
  await readers[0]!.read(new Uint8Array(10), 2 ** 44 - 5);
  expect(cache.stats()).toMatchObject({ bypassed_reads: 1, hot: { puts: 0, failed_gets: 0 } });
});

test('a look at the source answers only those who asked before it began', async () => {
  const ends: (() => void)[] = [];
  let looks = 0;
  const gate = new CheckGate(async () => {
    const number = ++looks;
    await new Promise<void>((end) => ends.push(end));
    return number;
  });
  const first = gate.ask();
  const others = [gate.ask(), gate.ask()];
  await settle();
  expect(looks).toBe(1);
  ends.shift()?.();
  expect(await first).toBe(1);
  await settle();
  ends.shift()?.();
  expect(await Promise.all(others)).toEqual([2, 2]);
  const last = gate.ask();
  ends.shift()?.();
  expect(await last).toBe(3);
});

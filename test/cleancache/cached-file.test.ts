// Files read through the page cache: the same bytes as without it, whatever happens to the file.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type CachedFile,
  Cleancache,
  MapCleancacheBackend,
  openCached,
  PageCache,
} from '../../src/cleancache/index.ts';
import { open, type Store, TmemError } from '../../src/zcache/index.ts';

/** Files made by a test count as settled at once. */
const later = () => Date.now() + 60_000;

let folder: string;
let path: string;
let store: Store;
let cache: PageCache;
const opened: CachedFile[] = [];

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'tmem-cached-file-'));
  path = join(folder, 'file');
  store = open({ memory: '16 MiB', debug: true });
  cache = new PageCache({ store, hotPages: 16, admit: 'first-read', now: later });
});

afterEach(async () => {
  for (const file of opened.splice(0)) await file.close();
  store.close();
  fs.rmSync(folder, { recursive: true });
});

async function openFile(options = {}, from = cache): Promise<CachedFile> {
  const file = await from.open(path, options);
  opened.push(file);
  return file;
}

function content(length: number, seed = 1): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (i * seed + (i >> 8)) & 0xff));
}

/** What a read through the cache gave, as bytes. */
async function readAt(file: CachedFile, position: number, length: number): Promise<Buffer> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}

const code = (error: { code?: string }) => error.code;

describe('a cached file', () => {
  test('reads as the file itself, at any position and length, again and again', async () => {
    const bytes = content(70_001);
    fs.writeFileSync(path, bytes);
    const file = await openFile();
    await fc.assert(
      fc.asyncProperty(fc.nat(75_000), fc.nat(30_000), async (position, length) => {
        expect(await readAt(file, position, length)).toEqual(bytes.subarray(position, position + length));
      }),
      { numRuns: 200 },
    );
    const { hot, cold, source_bytes } = cache.stats();
    expect(hot.succ_gets).toBeGreaterThan(0);
    expect(cold.succ_gets).toBeGreaterThan(0);
    expect(source_bytes).toBeLessThan(200 * 30_000);
  });

  test('reads as the file itself from where the last read ended', async () => {
    const bytes = content(300_000);
    fs.writeFileSync(path, bytes);
    for (const readaheadBytes of [0, 8192, 262_144]) {
      const file = await openFile({ readaheadBytes });
      const pieces: Buffer[] = [];
      for (;;) {
        const { bytesRead, buffer } = await file.read({ buffer: Buffer.alloc(3000) });
        if (bytesRead === 0) break;
        pieces.push(buffer.subarray(0, bytesRead));
      }
      expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
    }
  });

  test('is read from memory the second time, the last short page too', async () => {
    const bytes = content(10_001);
    fs.writeFileSync(path, bytes);
    const file = await openFile();
    await readAt(file, 0, 10_001);
    const before = cache.stats().source_reads;
    expect(await readAt(file, 8192, 5000)).toEqual(bytes.subarray(8192));
    expect(await readAt(file, 0, 10_001)).toEqual(bytes);
    expect(cache.stats().source_reads).toBe(before);
  });

  test('has the forms of FileHandle.read', async () => {
    fs.writeFileSync(path, content(100));
    const file = await openFile();
    const plain = await fs.promises.open(path);
    try {
      const forms: ((from: {
        read: CachedFile['read'];
      }) => Promise<{ bytesRead: number; buffer: ArrayBufferView }>)[] = [
        (from) => from.read(Buffer.alloc(10)),
        (from) => from.read(new Uint16Array(5), 2, 4),
        (from) => from.read(Buffer.alloc(10), 5, 5, 90),
        (from) => from.read(Buffer.alloc(10), { position: 95n, length: 7 }),
        (from) => from.read({ buffer: new DataView(new ArrayBuffer(8)), offset: 1, position: null }),
        (from) => from.read({ buffer: Buffer.alloc(4), position: -1 }),
        (from) => from.read(Buffer.alloc(10), 0, 0, 3),
        (from) => from.read(Buffer.alloc(10), null, null, null),
      ];
      for (const form of forms) {
        expect(await form(file)).toEqual(await form(plain as never));
      }
      const whole = await file.read();
      expect(whole.buffer.byteLength).toBe(16_384);
    } finally {
      await plain.close();
    }
  });

  test('reads into several buffers, as readv', async () => {
    const bytes = content(9000);
    fs.writeFileSync(path, bytes);
    const file = await openFile();
    const buffers = [Buffer.alloc(10), Buffer.alloc(5000), Buffer.alloc(5000)];
    expect((await file.readv(buffers, 100)).bytesRead).toBe(8900);
    expect(Buffer.concat(buffers).subarray(0, 8900)).toEqual(bytes.subarray(100));
    expect((await file.readv([Buffer.alloc(4), Buffer.alloc(4)])).bytesRead).toBe(8);
    expect(await file.readFile()).toEqual(bytes.subarray(8));
  });

  test('reads to the end, as readFile', async () => {
    for (const length of [0, 1, 4096, 20_000]) {
      fs.writeFileSync(path, content(length));
      const file = await openFile();
      expect(await file.readFile()).toEqual(content(length));
      expect(await file.readFile()).toEqual(Buffer.alloc(0));
    }
    fs.writeFileSync(path, 'text');
    expect(await (await openFile()).readFile('utf8')).toBe('text');
  });

  test('takes turns when several reads name no position', async () => {
    const bytes = content(12_000);
    fs.writeFileSync(path, bytes);
    const file = await openFile();
    const reads = await Promise.all(Array.from({ length: 4 }, () => file.read(Buffer.alloc(3000))));
    expect(Buffer.concat(reads.map(({ buffer }) => buffer)).equals(bytes)).toBe(true);
  });

  test('goes on after a read that failed', async () => {
    fs.writeFileSync(path, content(5000));
    const file = await openFile();
    await file.read(Buffer.alloc(10));
    store.close();
    const reads = [0, 1, 2].map(() => file.read(Buffer.alloc(10)).catch(code));
    expect(await Promise.all(reads)).toEqual(Array(3).fill('TMEM_ERR_CLOSED'));
    expect((await file.read(Buffer.alloc(0))).bytesRead).toBe(0);
  });

  test('read to its end tells what is appended after that', async () => {
    fs.writeFileSync(path, content(5000));
    const file = await openFile();
    for (const bytes of [5000, 0, 0]) expect((await file.read(Buffer.alloc(65_536))).bytesRead).toBe(bytes);
    fs.appendFileSync(path, 'more');
    const { bytesRead, buffer } = await file.read(Buffer.alloc(65_536));
    expect(buffer.toString('latin1', 0, bytesRead)).toBe('more');
  });

  test('reads a file without a size, as those of /proc', async () => {
    path = '/proc/self/status';
    const file = await openFile();
    expect((await file.readFile('utf8')).startsWith('Name:')).toBe(true);
  });

  test('tells what the file is, as stat', async () => {
    fs.writeFileSync(path, content(5));
    const file = await openFile();
    expect((await file.stat()).size).toBe(5);
    expect((await file.stat({ bigint: true })).size).toBe(5n);
  });

  test('refuses wrong arguments with a code', async () => {
    fs.writeFileSync(path, content(5));
    const file = await openFile();
    const buffer = Buffer.alloc(10);
    await expect(file.read(buffer, 11)).rejects.toMatchObject({ code: 'TMEM_ERR_SETTING' });
    await expect(file.read(buffer, 5, 6)).rejects.toMatchObject({ code: 'TMEM_ERR_SETTING' });
    await expect(file.read(buffer, 0, 1, -2)).rejects.toMatchObject({ code: 'TMEM_ERR_SETTING' });
    await expect(file.read('text' as never)).rejects.toMatchObject({ code: 'TMEM_ERR_TYPE' });
    await expect(openFile({ maxStaleMs: -1 })).rejects.toMatchObject({ code: 'TMEM_ERR_SETTING' });
    await expect(openFile({ readaheadBytes: 2 ** 20 })).rejects.toMatchObject({ code: 'TMEM_ERR_SETTING' });
    expect(() => new PageCache({ store, hotPages: 0 })).toThrow(TmemError);
  });

  test('cannot be read after it was closed, and finishes what was asked before', async () => {
    fs.writeFileSync(path, content(5000));
    const file = await openFile();
    const reads = [readAt(file, 0, 5000), readAt(file, 4000, 500)];
    await Promise.all([file.close(), file.close()]);
    expect((await reads[0])?.length).toBe(5000);
    expect((await reads[1])?.length).toBe(500);
    await expect(readAt(file, 0, 1)).rejects.toMatchObject({ code: 'TMEM_ERR_HANDLE_CLOSED' });
    await expect(file.stat()).rejects.toMatchObject({ code: 'TMEM_ERR_HANDLE_CLOSED' });
    await expect(file.readv([Buffer.alloc(1)])).rejects.toMatchObject({ code: 'TMEM_ERR_HANDLE_CLOSED' });
  });

  test('passes on the errors of the file system', async () => {
    await expect(openFile().catch(code)).resolves.toBe('ENOENT');
    path = folder;
    const directory = await openFile();
    await expect(readAt(directory, 0, 1).catch(code)).resolves.toBe('EISDIR');
  });

  test('gives TMEM_ERR_CLOSED when the store was closed', async () => {
    fs.writeFileSync(path, content(5000));
    const file = await openFile();
    store.close();
    await expect(readAt(file, 0, 10)).rejects.toMatchObject({ code: 'TMEM_ERR_CLOSED' });
  });
});

describe('a file that changes', () => {
  const changes: Record<string, (bytes: Buffer) => Buffer> = {
    'written in place': (bytes) => {
      const fd = fs.openSync(path, 'r+');
      fs.writeSync(fd, 'NEW', 4097);
      fs.closeSync(fd);
      bytes.write('NEW', 4097);
      return bytes;
    },
    'appended to': (bytes) => {
      fs.appendFileSync(path, 'NEW');
      return Buffer.concat([bytes, Buffer.from('NEW')]);
    },
    truncated: (bytes) => {
      fs.truncateSync(path, 5000);
      return bytes.subarray(0, 5000);
    },
    'replaced by rename': () => {
      const other = content(7000, 3);
      fs.writeFileSync(`${path}.new`, other);
      fs.renameSync(`${path}.new`, path);
      return other;
    },
    'deleted and made again': () => {
      fs.rmSync(path);
      const other = content(9000, 5);
      fs.writeFileSync(path, other);
      return other;
    },
    'given its old times back': () => {
      const { atime, mtime } = fs.statSync(path);
      const other = content(10_000, 7);
      fs.writeFileSync(path, other);
      fs.utimesSync(path, atime, mtime);
      return other;
    },
  };

  test.each(Object.keys(changes))('%s is read as it is now', async (name) => {
    let bytes = content(10_000);
    fs.writeFileSync(path, bytes);
    const file = await openFile();
    const other = await openFile();
    expect(await readAt(file, 0, 20_000)).toEqual(bytes);
    bytes = changes[name]!(bytes);
    for (const reader of [file, other, await openFile()]) {
      expect(await readAt(reader, 0, 20_000)).toEqual(bytes);
      expect(await readAt(reader, 4000, 3000)).toEqual(bytes.subarray(4000, 7000));
    }
    expect(cache.stats().changed_sources).toBe(1);
  });

  test('takes its old pages out of the store', async () => {
    const shim = new Cleancache();
    const backend = new MapCleancacheBackend();
    shim.register(backend);
    const other = new PageCache({ cleancache: shim, admit: 'first-read', now: later });
    fs.writeFileSync(path, content(40_000));
    const file = await openFile({}, other);
    await readAt(file, 0, 40_000);
    expect(backend.size).toBeGreaterThanOrEqual(10);
    fs.truncateSync(path, 1);
    await readAt(file, 0, 1);
    expect(backend.size).toBeLessThanOrEqual(2);
  });

  test('and is gone is read on, without being kept', async () => {
    const bytes = content(5000);
    fs.writeFileSync(path, bytes);
    const file = await openFile();
    await readAt(file, 0, 5000);
    fs.rmSync(path);
    const before = cache.stats().bypassed_reads;
    expect(await readAt(file, 0, 5000)).toEqual(bytes);
    expect(await readAt(file, 0, 5000)).toEqual(bytes);
    expect(cache.stats().bypassed_reads).toBe(before + 2);
    fs.writeFileSync(path, 'back');
    expect((await readAt(file, 0, 5000)).toString()).toBe('back');
  });

  test('and was replaced before the first read is read as it is now', async () => {
    fs.writeFileSync(path, 'old');
    const file = await openFile();
    fs.writeFileSync(`${path}.new`, 'new');
    fs.renameSync(`${path}.new`, path);
    expect((await readAt(file, 0, 10)).toString()).toBe('new');
  });

  test('is not kept while it may change again within the same time stamp', async () => {
    const young = new PageCache({ store, name: 'young', admit: 'first-read' });
    fs.writeFileSync(path, content(5000));
    const file = await openFile({}, young);
    await readAt(file, 0, 5000);
    await readAt(file, 0, 5000);
    expect(young.stats()).toMatchObject({ bypassed_reads: 2, hot: { puts: 0 } });
  });

  test('may be read as it was for maxStaleMs, and no longer', async () => {
    let now = later();
    const slow = new PageCache({ store, name: 'slow', admit: 'first-read', now: () => now });
    fs.writeFileSync(path, 'old');
    const file = await openFile({ maxStaleMs: 1000 }, slow);
    await readAt(file, 0, 3);
    fs.writeFileSync(path, 'new');
    now += 1000;
    expect((await readAt(file, 0, 3)).toString()).toBe('old');
    now += 1;
    expect((await readAt(file, 0, 3)).toString()).toBe('new');
  });
});

describe('what is kept', () => {
  test('of a file read once from front to back: nothing; of one read again: everything', async () => {
    const careful = new PageCache({ store, name: 'careful', now: later });
    fs.writeFileSync(path, content(40_000));
    const puts: number[] = [];
    for (let pass = 0; pass < 3; pass++) {
      const file = await openFile({}, careful);
      while ((await file.read(Buffer.alloc(4096))).bytesRead > 0);
      puts.push(careful.stats().hot.puts);
    }
    expect(puts).toEqual([0, 10, 10]);
    expect(careful.stats().source_bytes).toBe(80_000);
  });

  test('of a file read here and there: what was read', async () => {
    const careful = new PageCache({ store, name: 'careful', now: later });
    fs.writeFileSync(path, content(40_000));
    const file = await openFile({}, careful);
    await readAt(file, 20_000, 100);
    expect(careful.stats().hot.puts).toBe(1);
  });

  test('with cleancache switched off: nothing', async () => {
    const shim = new Cleancache({ enabled: false });
    const backend = new MapCleancacheBackend();
    shim.register(backend);
    const off = new PageCache({ cleancache: shim, admit: 'first-read', now: later });
    fs.writeFileSync(path, content(40_000));
    const file = await openFile({}, off);
    expect(await readAt(file, 0, 40_000)).toEqual(content(40_000));
    expect(backend.size).toBe(0);
  });
});

test('openCached shares one cache for all files of a store, and works without any', async () => {
  fs.writeFileSync(path, content(5000));
  for (const options of [{ store }, {}]) {
    for (let pass = 0; pass < 3; pass++) {
      const file = await openCached(path, options);
      opened.push(file);
      expect(await file.readFile()).toEqual(content(5000));
    }
  }
});

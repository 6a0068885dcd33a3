// Descriptors of cached files: each is closed, whatever happened to its file.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { type CachedFile, Cleancache, MapCleancacheBackend, PageCache } from '../../src/cleancache/index.ts';

const CONTENT = Buffer.alloc(5000, 'content');

const changes: Record<string, (path: string) => void> = {
  'is left alone': () => {},
  'is appended to': (path) => fs.appendFileSync(path, 'more'),
  'is replaced': (path) => fs.renameSync(`${path}.other`, path),
  'is deleted': (path) => fs.rmSync(path),
};

test.each(Object.keys(changes))('a file that %s leaves no descriptor open, read or not', async (name) => {
  const folder = fs.mkdtempSync(join(tmpdir(), 'tmem-descriptors-'));
  try {
    const path = join(folder, 'file');
    for (const made of [path, `${path}.other`]) fs.writeFileSync(made, CONTENT);
    const shim = new Cleancache();
    shim.register(new MapCleancacheBackend());
    // Files made by a test count as settled at once.
    const cache = new PageCache({ cleancache: shim, now: () => Date.now() + 60_000 });
    const unread = await cache.open(path);
    const file = await cache.open(path);
    await read(file, 0, 5000);
    const underWay = read(file, 0, 100);
    changes[name]!(path);
    await Promise.all([underWay, read(file, 0, 100), read(file, 4000, 100)]);
    expect(descriptorsIn(folder)).toBeGreaterThanOrEqual(2);
    await Promise.all([file.close(), unread.close()]);
    // That of a replaced file is closed by itself.
    await vi.waitFor(() => expect(descriptorsIn(folder)).toBe(0));
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

function read(file: CachedFile, position: number, length: number): Promise<unknown> {
  return file.read(Buffer.alloc(length), 0, length, position);
}

/** Descriptors of this process that are files of `folder`, deleted ones included. */
function descriptorsIn(folder: string): number {
  return fs.readdirSync('/proc/self/fd').filter((fd) => targetOf(fd).startsWith(folder)).length;
}

function targetOf(fd: string): string {
  try {
    return fs.readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    // The one that listed the descriptors is closed by now.
    return '';
  }
}

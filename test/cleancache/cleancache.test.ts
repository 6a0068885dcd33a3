// The shim: what a caller of cleancache may rely on, whichever backend there is.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { expect, test } from 'vitest';
import { Cleancache, MapCleancacheBackend } from '../../src/cleancache/index.ts';
import { Oid, TmemError } from '../../src/zcache/index.ts';

const key = Oid.fromNumbers(1);
const page = new Uint8Array(4096).fill(9);
const out = new Uint8Array(4096);

function shimWithBackend() {
  const shim = new Cleancache();
  const backend = new MapCleancacheBackend();
  shim.register(backend);
  return { shim, backend, source: shim.initFs('files') };
}

test('a source made before a backend is registered uses it when there is one', () => {
  const shim = new Cleancache();
  const source = shim.initFs('files');
  source.putPage(key, 0, page);
  expect(source.getPage(key, 0, out)).toBe(0);
  shim.register(new MapCleancacheBackend());
  source.putPage(key, 0, page);
  expect(source.getPage(key, 0, out)).toBe(4096);
});

test('an index beyond 32 bits is ignored by a put and missed by a get', () => {
  const { source, backend } = shimWithBackend();
  for (const index of [2 ** 32, 2 ** 40, -1, 0.5]) {
    source.putPage(key, index, page);
    expect(source.getPage(key, index, out)).toBe(0);
  }
  expect(backend.size).toBe(0);
  source.putPage(key, 2 ** 32 - 1, page);
  expect(source.getPage(key, 2 ** 32 - 1, out)).toBe(4096);
});

test('a range that goes beyond 32 bits is missed', () => {
  const { source } = shimWithBackend();
  source.putPage(key, 2 ** 32 - 1, page);
  const lengths: number[] = [];
  expect(source.getPages(key, 2 ** 32 - 1, new Uint8Array(2 * 4096), lengths)).toBe(0);
  expect(lengths).toEqual([0, 0]);
});

test('a put that the backend cannot take is no error for its caller', () => {
  const shim = new Cleancache();
  const failing = {
    ...new MapCleancacheBackend(),
    initFs() {
      throw new TmemError('TMEM_ERR_TOO_MANY_POOLS', 'full');
    },
  };
  shim.register(failing as never);
  const source = shim.initFs('files');
  expect(() => source.putPage(key, 0, page)).not.toThrow();
  expect(source.stats.put_to_flush).toBe(1);
});

test('a put of a page that is no page leaves nothing, above all not the older page', () => {
  const { source } = shimWithBackend();
  source.putPage(key, 0, page);
  source.putPage(key, 0, new Uint8Array(5000));
  expect(source.getPage(key, 0, out)).toBe(0);
});

test('switching off empties all pools and turns puts into flushes', () => {
  const { shim, backend, source } = shimWithBackend();
  const shared = shim.initSharedFs('f81d4fae-7dec-11d0-a765-00a0c91e6bf6');
  source.putPage(key, 0, page);
  shared.putPage(key, 0, page);
  shim.enabled = false;
  expect(backend.size).toBe(0);
  // Another thread, whose switch is on, may put in between.
  backend.initFs('files').put(key, 1, page);
  source.putPage(key, 1, page);
  expect(backend.size).toBe(0);
  shim.enabled = true;
  expect(source.getPage(key, 1, out)).toBe(0);
});

test('with ignoreInactive a page used once becomes a flush', () => {
  const { shim, source } = shimWithBackend();
  shim.ignoreInactive = true;
  source.putPage(key, 0, page, true);
  source.putPage(key, 0, page, false);
  expect(source.getPage(key, 0, out)).toBe(0);
  source.putPage(key, 0, page, true);
  expect(source.getPage(key, 0, out)).toBe(4096);
});

test('replacing a backend returns the old one emptied, warns and publishes an event', async () => {
  const { shim, backend, source } = shimWithBackend();
  source.putPage(key, 0, page);
  const events: unknown[] = [];
  const listen = (event: unknown) => events.push(event);
  const warned = new Promise<Error & { code?: string }>((resolve) => process.once('warning', resolve));
  subscribe('tmem:backend:replaced', listen);
  try {
    expect(shim.register(new MapCleancacheBackend())).toBe(backend);
  } finally {
    unsubscribe('tmem:backend:replaced', listen);
  }
  expect(events).toEqual([{ frontEnd: 'cleancache', previous: backend }]);
  expect((await warned).code).toBe('TMEM_WARN_BACKEND_REPLACED');
  expect(backend.size).toBe(0);
  expect(source.getPage(key, 0, out)).toBe(0);
});

test('invalidate takes a page, a file, everything', () => {
  const { source } = shimWithBackend();
  const other = Oid.fromNumbers(2);
  const fill = () => {
    for (const index of [0, 1]) source.putPage(key, index, page);
    source.putPage(other, 0, page);
  };
  const found = () => [
    source.getPage(key, 0, out) > 0,
    source.getPage(key, 1, out) > 0,
    source.getPage(other, 0, out) > 0,
  ];
  fill();
  source.invalidatePage(key, 0);
  expect(found()).toEqual([false, true, true]);
  fill();
  source.invalidateInode(key);
  expect(found()).toEqual([false, false, true]);
  fill();
  source.invalidateFs();
  expect(found()).toEqual([false, false, false]);
});

test('the counters count what happened, of each source and of all', () => {
  const { shim, source } = shimWithBackend();
  const other = shim.initFs('others');
  source.putPage(key, 0, page);
  source.getPage(key, 0, out);
  source.getPage(key, 0, out);
  other.invalidateFs();
  expect(source.stats).toEqual({ succ_gets: 1, failed_gets: 1, puts: 1, put_to_flush: 0, invalidates: 0 });
  expect(shim.stats()).toEqual({ succ_gets: 1, failed_gets: 1, puts: 1, put_to_flush: 0, invalidates: 1 });
});

test('a closed source is empty and stays so', () => {
  const { backend, source } = shimWithBackend();
  source.putPage(key, 0, page);
  source.close();
  expect(backend.size).toBe(0);
  source.putPage(key, 0, page);
  expect(backend.size).toBe(0);
});

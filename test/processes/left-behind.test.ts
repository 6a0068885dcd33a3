// What a process that was killed, or another that is stuck, leaves behind stops nobody for good and ends no other
// process; and a file that says impossible things, or a limit of the process, is an error with a code.

import { execFileSync } from 'node:child_process';
import { closeSync, openSync, truncateSync, writeSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { newScene, until } from './scene.ts';
import { tools } from './tools.ts';

const { arenasOf, codeOf, listStores, poolOf, putPages } = tools;
const LOCKS = 8192;
const FRAME_BYTES = 4096;

describe('a growth stop whose process was killed', () => {
  test.each([true, false])('is lifted by those that are there, their shrinker on: %s', async (enabled) => {
    const scene = newScene();
    const store = scene.open({ memory: '16 MiB', shrinker: { enabled: false } });
    const child = await scene.child();
    child.begin(({ open, arenasOf }, place) => {
      const [arena] = arenasOf(open(place)).all;
      arena!.setWord(arena!.layout.H_GROWTH_STOPPED, 1);
      process.kill(process.pid, 'SIGKILL');
    }, scene.place);
    await child.exit;
    const [arena] = arenasOf(store).all;
    const isStopped = () => arena!.word(arena!.layout.H_GROWTH_STOPPED) !== 0;
    expect(isStopped()).toBe(true);
    if (enabled) {
      // At once: a process that never gets to its event loop must not suffer either.
      scene.open({ shrinker: { enabled: true } });
      expect(isStopped()).toBe(false);
    }
    await until(() => !isStopped(), 'growth is allowed again');
  });
});

test('a lock that is held for too long ends no process that frees a destroyed pool by the way', async () => {
  const scene = newScene();
  const child = await scene.child();
  const left = await child.run(
    async ({ open, arenasOf, poolOf, putPages }, place, LOCKS) => {
      const store = open({ ...place, memory: '16 MiB', lockTimeoutMs: 10 });
      const other = open(place);
      const pool = poolOf(store);
      putPages(pool, 0, 500);
      pool.destroy();
      const [arena] = arenasOf(other).all;
      const slot = arena!.word(arena!.layout.H_SLOTS) + arena!.word(arena!.layout.H_SLOT_BYTES);
      // All stripes belong to the second thread, which lives and does not let go.
      for (let i = 0; i < 512; i++) arena!.setWord(LOCKS + 64 * i, 2 | (arena!.word(slot + 4) << 8));
      await new Promise((resolve) => setTimeout(resolve, 300));
      return store.stats().store.threads_attached;
    },
    scene.place,
    LOCKS,
  );
  expect(left).toBe(2);
});

test('an arena larger than there are is damage', () => {
  const scene = newScene();
  scene.directory = scene.subdirectory();
  scene.open({ memory: '16 MiB' }).close();
  const frames = (8 * 2 ** 30) / FRAME_BYTES;
  truncateSync(scene.path(), frames * FRAME_BYTES);
  const descriptor = openSync(scene.path(), 'r+');
  writeSync(descriptor, Uint32Array.of(frames), 0, 4, FRAME_BYTES + 8);
  closeSync(descriptor);
  expect(codeOf(() => scene.open())).toBe('TMEM_ERR_DAMAGED');
  expect(listStores(scene.directory).map(({ state }) => state)).toEqual(['damaged']);
});

test('a process whose address space is used up is told so, and keeps what it has', () => {
  const scene = newScene();
  putPages(poolOf(scene.open({ memory: '4 GiB' })), 0, 10);
  const source = `
    import { open } from ${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)};
    const place = ${JSON.stringify(scene.place)};
    const stores = [];
    for (let i = 0; i < 10; i++) {
      try {
        stores.push(open(place));
      } catch (error) {
        console.log(error.code, stores.length > 0, stores.every((store) => store.stats().clients.length === 1));
        break;
      }
    }`;
  const command = `ulimit -v 30000000; exec "$0" --input-type=module --eval "$1"`;
  const said = execFileSync('bash', ['-c', command, process.execPath, source], { encoding: 'utf8' });
  expect(said.trim()).toBe('TMEM_ERR_NO_MEMORY true true');
});

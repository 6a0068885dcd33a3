// checkStore: finds whatever contradicts itself in a store, changes nothing, and keeps nobody from working.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Arena } from '../../src/arena/index.ts';
import type { Store } from '../../src/index.ts';
import { clientsOf, poolsOf } from '../../src/zcache/raw.ts';
import { newScene, type Scene } from './scene.ts';
import { tools } from './tools.ts';

const { arenasOf, checkStore, codeOf, flushPages, getPages, poolOf, putPages } = tools;
const FRAME_BYTES = 4096;
// Of arena/memory/layout.ts.
const P_PAGES = 1024;
const P_ROOTS = 256;
const P_COUNTERS = 1536;
const C_FRAMES = 16;
const N_REMOTE = 37;
const KIND = { free: 0, zbud: 7, zv: 9, raw: 11 } as const;

/** A store with pages of every kind, and its first arena. */
function filled(scene: Scene, arenas = 1): { store: Store; arena: Arena } {
  const store = scene.open({ memory: '16 MiB', threads: 4, arenas });
  putPages(poolOf(store), 0, 1500);
  putPages(poolOf(store, 'zbud', { kind: 'ephemeral' }), 0, 500);
  putPages(poolOf(store, 'raw', { kind: 'ephemeral', pam: 'raw' }), 0, 100);
  const filler = new Uint8Array(4096).fill(7);
  for (let i = 0; i < 20; i++) poolOf(store).put(tools.Oid.fromNumbers(9), i, filler);
  flushPages(poolOf(store), 300, 300);
  store.shrink(20);
  return { store, arena: arenasOf(store).all[0] };
}

/** Frames of a kind. */
function framesOf(arena: Arena, kind: number): number[] {
  const table = arena.word(arena.layout.H_FRAME_TABLE);
  const frames = Array.from({ length: arena.word(arena.layout.H_FRAMES) }, (_, frame) => frame);
  return frames.filter((frame) => (arena.word(table + 8 * frame) & 15) === kind);
}

/** Overwrites a word while a store is checked. */
function checkedWith(scene: Scene, arena: Arena, at: number, change: (word: number) => number) {
  const word = arena.word(at);
  arena.setWord(at, change(word));
  const report = checkStore(scene.name);
  arena.setWord(at, word);
  return report;
}

describe('a sound store', () => {
  test.each([1, 2])('of %i arenas is called so, with what was looked at', (arenas) => {
    const scene = newScene();
    const { store } = filled(scene, arenas);
    const pages = store.stats().clients[0]!.content.curr_pages;
    const { frames_total } = store.stats().store;
    expect(checkStore(scene.name)).toEqual({
      ...{ sound: true, findings: [], frames: frames_total, pages },
      remotePages: 0,
    });
    store.close();
    expect(checkStore(scene.name)).toMatchObject({ sound: true, findings: [], pages });
  });

  test('may have pages that are with peers', () => {
    const scene = newScene();
    const { store, arena } = filled(scene);
    const pool = poolOf(store);
    const pages = store.stats().clients[0]!.content.curr_pages;
    const handles = [...pool.walk()].slice(0, 50);
    for (const { oid, index } of handles) {
      const found = pool.remotePages.look(oid, index);
      if (found?.kind === 'stored') pool.remotePages.sendAway(oid, index, found, Buffer.from('a record'));
    }
    const remotePages = pool.stats().content.remote_pages;
    // The others are of one repeated value, and take less than a record.
    expect(remotePages).toBeGreaterThan(0);
    expect(checkStore(scene.name)).toMatchObject({
      ...{ sound: true, findings: [], pages: pages - remotePages, remotePages },
    });
    const row = arena.wasm.poolFrame(pool.arenaIds[0]!) + P_COUNTERS + 8 * N_REMOTE;
    const report = checkedWith(scene, arena, row, (word) => word + 1);
    expect(report).toMatchObject({ sound: false });
    expect(report.findings.join()).toMatch(/remote_pages/);
  });

  test('may have destroyed pools and flushed objects that wait to be freed', () => {
    const scene = newScene();
    const { store } = filled(scene);
    // What has more nodes than are freed at once.
    const large = tools.Oid.fromNumbers(8);
    for (let i = 0; i < 200; i++) poolOf(store).put(large, i * 64, Buffer.from(`page ${i}`));
    expect(poolOf(store).flushObject(large)).toBe(200);
    poolOf(store, 'zbud', { kind: 'ephemeral' }).destroy();
    expect(checkStore(scene.name)).toMatchObject({ sound: true, findings: [] });
  });

  test('is byte for byte as before, but for the slots of threads', () => {
    const scene = newScene();
    const { store, arena } = filled(scene);
    const { layout } = arena;
    const slots = arena.word(layout.H_SLOTS);
    const slotsEnd = slots + arena.word(layout.H_THREADS) * arena.word(layout.H_SLOT_BYTES);
    store.close();
    const before = readFileSync(scene.path());
    expect(checkStore(scene.name).sound).toBe(true);
    const after = readFileSync(scene.path());
    expect(after.length).toBe(before.length);
    const differing: number[] = [];
    for (let at = 0; at < before.length; at += 4) {
      const isInSlots = at >= slots && at < slotsEnd;
      if (!isInSlots && before.readUInt32LE(at) !== after.readUInt32LE(at)) differing.push(at);
    }
    expect(differing).toEqual([]);
  });

  test('is checked while others work in it, and none of them notices', async () => {
    const scene = newScene();
    filled(scene);
    const children = await scene.children(2);
    const working = children.map((child, at) =>
      child.run(
        ({ open, poolOf, putPages, getPages, flushPages, tell }, place, at) => {
          const pool = poolOf(open(place), `of-${at}`);
          const found = { right: 0, missing: 0, wrong: 0 };
          for (let round = 1; round <= 40; round++) {
            if (round === 2) tell('working');
            putPages(pool, 0, 300, round);
            const { right, missing, wrong } = getPages(pool, 0, 300, round);
            found.right += right;
            found.missing += missing;
            found.wrong += wrong;
            flushPages(pool, round, 10);
          }
          return found;
        },
        scene.place,
        at,
      ),
    );
    await children[0]!.told('working');
    for (let i = 0; i < 4; i++) {
      expect(checkStore(scene.name)).toMatchObject({ sound: true, findings: [] });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const all = { right: 40 * 300, missing: 0, wrong: 0 };
    expect(await Promise.all(working)).toEqual([all, all]);
  });
});

describe('a store that contradicts itself', () => {
  test('in the bitmap of free frames is found out, in both directions', () => {
    const scene = newScene();
    const { arena } = filled(scene);
    const bits = arena.word(arena.layout.H_FREE_BITS);
    const used = framesOf(arena, KIND.zv)[0]!;
    const free = framesOf(arena, KIND.free).find(
      (frame) => (arena.word(bits + 4 * (frame >>> 5)) >>> (frame & 31)) & 1,
    )!;
    for (const frame of [used, free]) {
      const flip = (word: number) => word ^ (1 << (frame & 31));
      const { sound, findings } = checkedWith(scene, arena, bits + 4 * (frame >>> 5), flip);
      expect([sound, findings.join()]).toEqual([false, expect.stringMatching(/free/)]);
    }
    expect(checkStore(scene.name)).toMatchObject({ sound: true, findings: [] });
  });

  test('in what it counts is found out, and the figure is named', () => {
    const scene = newScene();
    const { arena } = filled(scene);
    const [pool] = poolsOf(arena);
    const [client] = clientsOf(arena);
    const root = Array.from({ length: 64 }, (_, i) => pool!.address + 4 * i);
    const pages = root.find((at) => arena.word(at + P_ROOTS) !== 0)! + P_PAGES;
    const plusOne = (word: number) => word + 1;
    const places = [pages, client!.address + C_FRAMES, arena.layout.H_FREE_FRAMES];
    for (const at of places) {
      const { sound, findings } = checkedWith(scene, arena, at, plusOne);
      expect([sound, findings.join()]).toEqual([false, expect.stringMatching(/pages|frames/)]);
    }
    expect(checkStore(scene.name)).toMatchObject({ sound: true, findings: [] });
    // Events of the past are nobody's to check; every other counter of what is held is.
    let found = 0;
    for (let at = pool!.address + P_COUNTERS; at < pool!.address + P_COUNTERS + 320; at += 8) {
      const report = checkedWith(scene, arena, at, plusOne);
      if (!report.sound) found++;
    }
    expect(found).toBeGreaterThanOrEqual(4);
  });

  test('in a block of zv is found out', () => {
    const scene = newScene();
    const { arena } = filled(scene);
    const [frame] = framesOf(arena, KIND.zv);
    const { sound, findings } = checkedWith(scene, arena, frame! * FRAME_BYTES, () => 0x7fff_fff0);
    expect([sound, findings.length > 0]).toEqual([false, true]);
    expect(checkStore(scene.name)).toMatchObject({ sound: true, findings: [] });
  });

  test.each(['zv', 'zbud', 'raw'] as const)(
    'in a byte of a page in %s is found out, and the page is named',
    (kind) => {
      const scene = newScene();
      const { arena } = filled(scene);
      let found = 0;
      for (const frame of framesOf(arena, KIND[kind]).slice(3, 9)) {
        const { sound, findings } = checkedWith(
          scene,
          arena,
          frame * FRAME_BYTES + 200,
          (word) => word ^ 0x40,
        );
        if (!sound) {
          found++;
          expect(findings.join()).toMatch(/pool '\w+': the page at .* is damaged/);
        }
      }
      // The byte lies in a page in most frames, if not in all.
      expect(found).toBeGreaterThanOrEqual(4);
      expect(checkStore(scene.name)).toMatchObject({ sound: true, findings: [] });
    },
  );

  test('in the index is found out', () => {
    const scene = newScene();
    const { arena } = filled(scene);
    const [pool] = poolsOf(arena);
    const root = Array.from({ length: 64 }, (_, i) => pool!.address + P_ROOTS + 4 * i).find(
      (at) => arena.word(at) !== 0,
    )!;
    for (const value of [0, 0xffff_ffff, 0x1fff_ffff, 0x4000_0001]) {
      expect(checkedWith(scene, arena, root, () => value)).toMatchObject({ sound: false });
    }
    expect(checkStore(scene.name)).toMatchObject({ sound: true, findings: [] });
  });
});

describe('checkStore', () => {
  test('says what keeps it from checking', () => {
    const scene = newScene();
    expect(codeOf(() => checkStore(scene.name))).toBe('TMEM_ERR_NO_STORE');
    expect(codeOf(() => checkStore(scene.name, { directory: '/no/such' }))).toBe('TMEM_ERR_NO_STORE');
    scene.open({ memory: '16 MiB', threads: 2 });
    scene.open();
    expect(codeOf(() => checkStore(scene.name))).toBe('TMEM_ERR_TOO_MANY_THREADS');
  });

  test('is not held up for ever by a process that is stopped in the middle', async () => {
    const scene = newScene();
    const pool = poolOf(scene.open({ memory: '16 MiB', lockTimeoutMs: 100 }));
    putPages(pool, 5000, 10);
    const child = await scene.child();
    child.begin(({ open, poolOf, putPages, beforeCall, tell }, place) => {
      beforeCall('allocate', () => {
        tell('inside');
        process.kill(process.pid, 'SIGSTOP');
      });
      putPages(poolOf(open(place)), 0, 1000);
    }, scene.place);
    await child.told('inside');
    expect(codeOf(() => checkStore(scene.name))).toBe('TMEM_ERR_BUSY');
    // And it leaves the store as open to others as it was.
    expect(getPages(pool, 5000, 10)).toEqual({ right: 10, missing: 0, wrong: 0 });
    await child.kill();
    expect(checkStore(scene.name)).toMatchObject({ sound: true });
  });
});

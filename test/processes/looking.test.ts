// Frames are looked at without a lock in some places, in the arena and from outside. Nobody gives their memory away
// meanwhile: in a full file system such a look would kill the process.

import { expect, test } from 'vitest';
import { newScene } from './scene.ts';

test('frames lose their memory only while nobody reclaims, because reclaim looks for pages without locks', async () => {
  const scene = newScene();
  const child = await scene.child();
  const codes = await child.run(({ open, poolOf, putPages, beforeCall, codeOf }, place) => {
    const store = open({ ...place, memory: '16 MiB', lockTimeoutMs: 10 });
    const other = open(place);
    const pool = poolOf(store, 'short', { kind: 'ephemeral' });
    putPages(pool, 0, 500);
    store.shrink(100);
    const codes: (string | undefined)[] = [];
    beforeCall('removePages', () => {
      if (codes.length === 0) codes.push(codeOf(() => other.shrink(1)));
    });
    const given = store.giveBack(32);
    codes.push(codeOf(() => other.shrink(1)));
    return { given, codes };
  }, scene.place);
  expect(codes).toEqual({ given: 32, codes: ['TMEM_ERR_BUSY', undefined] });
});

test('a process that gets all memory at once touches none that another gives back meanwhile', async () => {
  const scene = newScene();
  const child = await scene.child();
  const found = await child.run(({ poisonUnbacked, open, arenasOf }, place) => {
    const untouchable = poisonUnbacked();
    const other = open({ ...place, memory: '16 MiB', prefault: true });
    const { or } = Atomics;
    let given = 0;
    const giveBack = (): void => {
      given ||= other.giveBack(64);
    };
    Atomics.or = ((...args: Parameters<typeof or>) => {
      giveBack();
      return or(...args);
    }) as typeof or;
    const store = open({ ...place, prefault: true });
    giveBack();
    const [arena] = arenasOf(store).all;
    return { given, unbacked: arena!.word(arena!.layout.H_UNBACKED), untouchable: untouchable() };
  }, scene.place);
  expect(found).toEqual({ given: 64, unbacked: 64, untouchable: 128 });
});

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

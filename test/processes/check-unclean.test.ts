// A check that finds all slots but a dead one's taken works in that one.

import { expect, test } from 'vitest';
import { newScene } from './scene.ts';
import { tools } from './tools.ts';

const { poolOf, putPages, checkStore } = tools;

test('a check in the slot of a thread that ended in the middle says so, and the store is clean after it', async () => {
  const scene = newScene();
  const store = scene.open({ memory: '16 MiB', threads: 2, shrinker: { enabled: false } });
  putPages(poolOf(store), 0, 100);
  const child = await scene.child();
  child.begin(({ open, poolOf, putPages, beforeCall }, place) => {
    beforeCall('allocate', () => process.kill(process.pid, 'SIGKILL'));
    putPages(poolOf(open(place)), 1000, 1000);
  }, scene.place);
  await child.exit;
  const { sound, findings, pages } = checkStore(scene.name, scene.place);
  expect({ sound, findings }).toEqual({
    sound: true,
    findings: [expect.stringContaining('threads ended in the middle')],
  });
  expect(pages).toBeGreaterThanOrEqual(100);
  expect(checkStore(scene.name, scene.place)).toMatchObject({ sound: true, findings: [] });
});

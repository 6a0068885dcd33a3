// Closing a named store: what happens after it touches neither the store nor the descriptor numbers it had.

import diagnosticsChannel from 'node:diagnostics_channel';
import { once } from 'node:events';
import { readdirSync, readlinkSync, rmdirSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openDraft } from '../../src/zcache/index.ts';
import { newScene } from './scene.ts';
import { tools } from './tools.ts';

const { codeOf, poolOf, putPages, getPages } = tools;
const THREAD = new URL('./thread.ts', import.meta.url);

/** Descriptors of this process that lead to files of the scene, or to files without a name beside them. */
function descriptorsIn(directory: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${descriptor}`);
      return path.startsWith(`${directory}/`) ? [path] : [];
    } catch {
      return []; // that of the listing itself
    }
  });
}

describe('after a store was closed', () => {
  test('a worker that ends later is no concern of it, whatever its descriptor number is by now', async () => {
    const scene = newScene();
    const child = await scene.child();
    const attached = await child.run(
      async ({ open, listStores }, place, thread) => {
        const { Worker } = process.getBuiltinModule('node:worker_threads');
        const first = open({ ...place, memory: '16 MiB' });
        const source = '() => void setInterval(() => {}, 1000)';
        const workerData = { token: first.share(), source };
        const worker = new Worker(new URL(thread), { workerData });
        await new Promise((resolve) => worker.once('message', resolve));
        // The slot behind the first: that of the worker in the other store.
        const other = { name: `${place.name}-other`, directory: place.directory, memory: '16 MiB' };
        const keeper = open(other);
        first.close();
        const second = open(other);
        await worker.terminate();
        await new Promise((resolve) => setTimeout(resolve, 150));
        const [found] = listStores(place.directory).filter(({ name }) => name === other.name);
        keeper.close();
        second.close();
        return found?.attached;
      },
      scene.place,
      THREAD.href,
    );
    expect(attached).toBe(2);
  });

  test('a draft cannot be published any more', () => {
    const scene = newScene();
    const draft = openDraft({ ...scene.place, memory: '16 MiB' });
    draft.store.close();
    // Takes the number of the descriptor.
    const other = newScene();
    const store = other.open({ memory: '16 MiB' });
    expect(codeOf(() => draft.publish())).toBe('TMEM_ERR_CLOSED');
    expect(codeOf(() => scene.open())).toBe('TMEM_ERR_NO_STORE');
    store.close();
  });
});

describe('an open that fails', () => {
  test('when the file is to get its name leaves no store open', () => {
    const scene = newScene();
    scene.directory = scene.subdirectory();
    const channel = diagnosticsChannel.channel('tmem:store:open');
    const removeDirectory = (): void => rmdirSync(scene.directory);
    channel.subscribe(removeDirectory);
    onTestFinished(() => void channel.unsubscribe(removeDirectory));
    expect(codeOf(() => scene.open({ memory: '16 MiB' }))).toBe('TMEM_ERR_STORE_DIRECTORY');
    expect(descriptorsIn(scene.directory)).toEqual([]);
  });

  test('because the user forbids himself to read his files leaves no descriptor', () => {
    const scene = newScene();
    scene.directory = scene.subdirectory();
    const before = process.umask(0o777);
    onTestFinished(() => void process.umask(before));
    expect(codeOf(() => scene.open({ memory: '16 MiB' }))).toBe('TMEM_ERR_STORE_FILE');
    expect(descriptorsIn(scene.directory)).toEqual([]);
  });
});

test('a worker and the thread that made it may close in any order', async () => {
  const scene = newScene();
  const store = scene.open({ memory: '16 MiB' });
  putPages(poolOf(store), 0, 10);
  const source = '({ state }) => { state.store.close(); return true; }';
  const worker = new Worker(THREAD, { workerData: { token: store.share(), source } });
  store.close();
  // Asked for before: both may come in one turn.
  await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
  expect(getPages(poolOf(scene.open()), 0, 10)).toEqual({ right: 10, missing: 0, wrong: 0 });
});

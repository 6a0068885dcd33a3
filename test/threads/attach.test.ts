// Threads that come and go: slots are given back and taken again, and there are never more threads than slots.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { attach, Oid, open, type Store, TmemError } from '../../src/index.ts';

const COMING_AND_GOING = new URL('./attach-worker.ts', import.meta.url);
const PAGE = new Uint8Array(4096).map((_, i) => i & 15);
const OID = Oid.fromNumbers(5);

function small(threads: number): Store {
  return open({ memory: '8 MiB', threads, pools: 4, clients: 2 });
}

function codeOf(call: () => unknown): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    return TmemError.is(error) ? error.code : String(error);
  }
}

describe('thread slots', () => {
  test('run out with an error that says so, and are free again after close', () => {
    using store = small(4);
    const token = store.share();
    for (let round = 0; round < 50; round++) {
      const others = [attach(token), attach(token), attach(token)];
      expect(codeOf(() => attach(token))).toBe('TMEM_ERR_TOO_MANY_THREADS');
      expect(store.stats().store.threads_attached).toBe(4);
      const pool = others[2]!.client('a').pool('p', { kind: 'persistent' });
      expect(pool.put(OID, round, PAGE)).toBe('stored');
      for (const other of others) other.close();
      expect(store.stats().store.threads_attached).toBe(1);
    }
    expect(store.client('a').pool('p', { kind: 'persistent' }).pages).toBe(50);
  });

  test('of workers that end without closing are free when their exit was seen', async () => {
    using store = small(3);
    for (let round = 0; round < 6; round++) {
      const workers = [1, 2].map(
        (seed) =>
          new Worker(COMING_AND_GOING, { workerData: { store: store.share(), seed, attachments: 1 } }),
      );
      try {
        const codes = await Promise.all(workers.map((worker) => once(worker, 'exit')));
        expect(codes).toEqual([[0], [0]]);
      } finally {
        await Promise.all(workers.map((worker) => worker.terminate()));
      }
      expect(store.stats().store.threads_attached).toBe(1);
    }
    expect(store.stats().store.threads_recovered).toBe(0);
  });

  test('are shared by more threads than there are, which attach and close again and again', async () => {
    using store = small(3);
    const pool = store.client('a').pool('p', { kind: 'persistent' });
    const attachments = 400;
    const workers = [1, 2, 3, 4].map(
      (seed) => new Worker(COMING_AND_GOING, { workerData: { store: store.share(), seed, attachments } }),
    );
    let attached = 0;
    for (const worker of workers) {
      worker.on('message', (count: number) => {
        attached += count;
      });
    }
    try {
      const codes = await Promise.all(workers.map((worker) => once(worker, 'exit')));
      expect(codes).toEqual([[0], [0], [0], [0]]);
    } finally {
      await Promise.all(workers.map((worker) => worker.terminate()));
    }
    expect(attached).toBe(4 * attachments);
    expect(store.stats().store.threads_attached).toBe(1);
    expect(pool.pages).toBe(4);
    expect(pool.stats().traffic.puts).toBe(4 * attachments);
  });

  test('are not lost when the thread that has them closes its store while others work', () => {
    using store = small(4);
    const first = attach(store.share());
    const second = attach(store.share());
    const pool = second.client('a').pool('p', { kind: 'ephemeral' });
    first.close();
    first.close();
    expect(codeOf(() => first.client('a'))).toBe('TMEM_ERR_CLOSED');
    expect(pool.put(OID, 1, PAGE)).toBe('stored');
    const third = attach(store.share());
    expect(third.client('a').pool('p', { kind: 'ephemeral' }).get(OID, 1, new Uint8Array(4096))).toBe(4096);
    second.close();
    third.close();
    expect(store.stats().store.threads_attached).toBe(1);
  });
});

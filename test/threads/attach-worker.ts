// A thread of attach.test.ts: attaches, puts a page and closes, as often as it is told, waiting when no slot is free.

import { parentPort, workerData } from 'node:worker_threads';
import { attach, Oid, type Store, type StoreToken, TmemError } from '../../src/index.ts';

const {
  store: token,
  seed,
  attachments,
} = workerData as {
  store: StoreToken;
  seed: number;
  attachments: number;
};
const page = new Uint8Array(1000).fill(seed);
const sleeper = new Int32Array(new SharedArrayBuffer(4));
/** Waits for a free slot in a row before it gives up: some ten seconds. */
const WAITS_MAX = 10_000;
let done = 0;
for (let waits = 0; done < attachments && waits < WAITS_MAX; ) {
  let store: Store;
  try {
    store = attach(token);
  } catch (error) {
    if (!TmemError.is(error) || error.code !== 'TMEM_ERR_TOO_MANY_THREADS') throw error;
    waits++;
    Atomics.wait(sleeper, 0, 0, 1);
    continue;
  }
  waits = 0;
  const pool = store.client('a').pool('p', { kind: 'persistent' });
  if (pool.put(Oid.fromNumbers(seed), 0, page) !== 'stored') throw new Error('refused');
  done++;
  // The last time it ends without closing.
  if (done < attachments) store.close();
}
parentPort!.postMessage(done);

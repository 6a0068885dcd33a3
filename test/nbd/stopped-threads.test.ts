// Threads of a server that end while their parent is busy with something else.
import { expect, test } from 'vitest';
import { ThreadedNbdServer } from '../../src/nbd/index.ts';
import { newStore } from './bench.ts';

test('threads that ended as they were told to are no accident, however late their parent hears of it', async () => {
  const failures: Error[] = [];
  const onFailed = (error: Error) => void failures.push(error);
  const server = await ThreadedNbdServer.start(newStore(), { threads: 2, onFailed });
  const stopped = server.stop(0);
  await new Promise((resolve) => setImmediate(resolve));
  // Long enough for their last message and their end to be there together.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
  await stopped;
  expect(failures).toEqual([]);
});

// A user's first program, run from the packed tarball: one thread puts pages, a worker reads and replaces them.
// Prints the Node version and what the threads saw as one JSON object.
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { attach, Oid, open } from 'tmem';

const pageBytes = 4096;
const oid = Oid.fromString('/some/file');
const pageOf = (text) => Buffer.from(text.repeat(pageBytes).slice(0, pageBytes));
const poolOf = (store) => store.client('web').pool('pages', { kind: 'persistent' });

if (isMainThread) {
  const store = open({ memory: '64 MiB', threads: 4 });
  const pool = poolOf(store);
  const put = pool.put(oid, 7, pageOf('from the main thread '));
  const worker = new Worker(new URL(import.meta.url), { workerData: { store: store.share() } });
  const exited = once(worker, 'exit');
  const [seen] = await once(worker, 'message');
  await exited;
  const out = Buffer.alloc(pageBytes);
  const length = pool.get(oid, 8, out);
  const answer = out.toString('latin1', 0, 22);
  const missing = pool.get(oid, 9, out);
  store.close();
  console.log(JSON.stringify({ node: process.version, put, seen, length, answer, missing }));
} else {
  const store = attach(workerData.store);
  const pool = poolOf(store);
  const out = Buffer.alloc(pageBytes);
  const length = pool.get(oid, 7, out);
  const same = out.equals(pageOf('from the main thread '));
  const put = pool.put(oid, 8, pageOf('from the worker thread '));
  store.close();
  parentPort.postMessage({ length, same, put });
}

// Serves an export that the main thread shares, in a worker thread, on a socket of its own.

import { parentPort, workerData } from 'node:worker_threads';
import { AreaExport, NbdServer, type SharedExport } from '../../src/nbd/index.ts';
import { attach, type StoreToken } from '../../src/zcache/index.ts';

export interface ThreadData {
  readonly store: StoreToken;
  readonly shared: SharedExport;
  readonly path: string;
}

const { store: token, shared, path } = workerData as ThreadData;
const store = attach(token);
const exported = await AreaExport.attach(store, shared);
const server = new NbdServer();
server.addExport(exported);
await server.listen({ path });
parentPort?.on('message', async () => {
  await server.stop(0);
  await exported.detach();
  store.close();
  parentPort?.close();
});
parentPort?.postMessage('ready');

// A worker thread of a scene: attaches as it is told, runs one function, posts what it gave, and ends without closing
// the store; or stays, when the function gives a promise that never ends.

import { parentPort, type Transferable, workerData } from 'node:worker_threads';
import type { StoreToken } from '../../src/index.ts';
import { tools } from './tools.ts';

interface ThreadData {
  readonly token?: StoreToken;
  readonly place?: { readonly name: string; readonly directory: string };
  readonly source: string;
}

const { token, place, source } = workerData as ThreadData;
tools.state.store = token === undefined ? tools.open(place!) : tools.attach(token);
const run = new Function(`return (${source});`)() as (...args: unknown[]) => unknown;
parentPort!.postMessage(await run(tools), [] as Transferable[]);

/**
 * A thread that serves connections which another one accepted: an NbdServer of its own, on its own view of the store
 * and of each export.
 *
 * It ends by itself, when it was told to stop and nothing is under way any more. Whatever it cannot handle ends it,
 * too, and whoever started it notices.
 */

import { subscribe } from 'node:diagnostics_channel';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { attach, PortFetcher, sentError } from '../zcache/index.ts';
import { AreaExport } from './area-export.ts';
import { NbdServer } from './server.ts';
import {
  FORWARDED,
  type Forwarded,
  type FromThread,
  type Task,
  type ThreadData,
  type ToThread,
} from './thread-messages.ts';

const port = parentPort as MessagePort;

function send(message: FromThread): void {
  port.postMessage(message);
}

function serve({ store: token, options, fetches }: ThreadData): void {
  const store = attach(token);
  const server = new NbdServer(options);
  const fetcher = fetches && new PortFetcher(fetches);
  const exports = new Map<string, AreaExport>();
  const adding = new Set<Promise<void>>();

  for (const name of FORWARDED) {
    subscribe(name, (payload) => send({ kind: 'event', event: { name, payload } as Forwarded }));
  }

  const add = async (task: Task & { kind: 'add' }): Promise<void> => {
    const attached = await AreaExport.attach(store, task.shared, fetcher);
    exports.set(attached.name, attached);
    await server.addExport(attached);
  };

  const perform = async (task: Task): Promise<void> => {
    if (task.kind === 'add') {
      const added = add(task);
      adding.add(added);
      await added.finally(() => adding.delete(added));
    } else if (task.kind === 'remove') {
      await server.removeExport(task.name);
      await exports.get(task.name)?.detach();
      exports.delete(task.name);
    } else {
      await server.stop(task.graceMs);
      await Promise.allSettled(adding);
      for (const attached of exports.values()) await attached.detach();
      fetcher?.close();
      store.close();
    }
  };

  const answer = async (id: number, task: Task): Promise<void> => {
    let error: unknown;
    try {
      await perform(task);
    } catch (thrown) {
      error = thrown;
    }
    send({ kind: 'done', id, error: error === undefined ? undefined : sentError(error) });
    if (task.kind === 'stop') port.close();
  };

  port.on('message', (message: ToThread) => {
    if (message.kind === 'serve') server.serveDescriptor(message.descriptor, () => send({ kind: 'ended' }));
    else if (message.kind === 'tls') server.replaceTls(message.tls);
    else void answer(message.id, message.task);
  });
}

try {
  serve(workerData as ThreadData);
  send({ kind: 'ready' });
} catch (error) {
  send({ kind: 'failed', error: sentError(error) });
}

// A helper process with a node on a store of its own, or with the plain server that it is compared with.

import { createServer } from 'node:net';
import { type NodeCertificates, Ramster, type RamsterSettings } from '../../src/ramster/index.ts';
import { open } from '../../src/zcache/index.ts';
import { answer } from '../support/helper.ts';
import { REPLY_BYTES, REQUEST_BYTES } from './wire-sizes.ts';

export type NodeTask =
  | {
      readonly kind: 'node';
      readonly memory: string;
      readonly options: RamsterSettings & { tls?: NodeCertificates };
    }
  | { readonly kind: 'plain' }
  | { readonly kind: 'proxy'; readonly to: number; readonly delayMs: number }
  | { readonly kind: 'received' };

/** Bytes that came through the proxy from its clients. */
let received = 0;

answer<NodeTask, number | string>(async (task) => {
  if (task.kind === 'received') return received;
  if (task.kind === 'plain') return await plainServer();
  if (task.kind === 'proxy') return await proxy(task.to, task.delayMs);
  const store = open({ memory: task.memory, incompressible: 'store' });
  const { tls } = task.options;
  // Buffers lose their kind on the way between processes.
  const certificates = tls && { cert: String(tls.cert), key: String(tls.key), ca: String(tls.ca) };
  const ramster = await Ramster.open(store, { ...task.options, ...(certificates && { tls: certificates }) });
  return ramster.addresses[0]!;
});

/** Answers every request of REQUEST_BYTES with REPLY_BYTES; its port. */
function plainServer(): Promise<number> {
  const reply = Buffer.alloc(REPLY_BYTES, 7);
  return listening((socket) => {
    let missing = REQUEST_BYTES;
    socket.on('data', (bytes) => {
      missing -= bytes.length;
      for (; missing <= 0; missing += REQUEST_BYTES) socket.write(reply);
    });
  });
}

/** Passes on what comes, so much later; its port. */
async function proxy(to: number, delayMs: number): Promise<number> {
  const { connect } = await import('node:net');
  return await listening((client) => {
    const server = connect(to, '127.0.0.1').setNoDelay(true);
    const pass = (from: typeof client, into: typeof client, seen: (bytes: number) => void): void => {
      const after = delayMs === 0 ? (task: () => void) => task() : later(delayMs);
      from.on('data', (bytes) => {
        seen(bytes.length);
        after(() => into.write(bytes));
      });
      from.on('error', () => into.destroy());
      from.on('close', () => into.destroy());
    };
    pass(client, server, (bytes) => {
      received += bytes;
    });
    pass(server, client, () => {});
  });
}

/**
 * Does tasks so much later, in their order. Timers are no finer than a millisecond: this looks at the clock in every
 * turn of the loop.
 */
function later(delayMs: number): (task: () => void) => void {
  const waiting: { dueMs: number; task: () => void }[] = [];
  const look = (): void => {
    while (waiting.length > 0 && performance.now() >= waiting[0]!.dueMs) waiting.shift()!.task();
    if (waiting.length > 0) setImmediate(look);
  };
  return (task) => {
    waiting.push({ dueMs: performance.now() + delayMs, task });
    if (waiting.length === 1) setImmediate(look);
  };
}

function listening(accept: (socket: import('node:net').Socket) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer({ noDelay: true }, accept);
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
  });
}

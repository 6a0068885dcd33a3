// Our NBD server with an export that stores nothing: what the protocol alone costs, on one thread.
//
//   node protocol-server.ts <unix socket> <bytes>
//
// Reads give whatever is in the reply's buffer.

import type { NbdServer as Server, Volume } from '../../src/nbd/index.ts';

const [path, size] = process.argv.slice(2);
if (path === undefined || size === undefined) throw new Error('usage: protocol-server <unix socket> <bytes>');

const nothing = async (): Promise<void> => {};
const done = async (): Promise<boolean> => true;
const volume: Volume = {
  ...{ size: Number(size), readOnly: false, durable: false, zeroesFast: true },
  readNow: (_, out) => out.length,
  writeNow: (_, bytes) => bytes.length,
  ...{ read: nothing, write: done, zero: done, trim: nothing, cache: nothing, flush: nothing, sync: nothing },
  allocation: (_, length) => [{ bytes: length, hole: false }],
};

// As it is published, like the other servers.
const { NbdServer } = (await import(new URL('../../dist/nbd/index.js', import.meta.url).href)) as {
  NbdServer: typeof Server;
};
const server = new NbdServer();
await server.addExport({ name: 'bench', description: '', volume });
await server.listen({ path });

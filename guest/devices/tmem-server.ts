// Our server in a process of its own, so that it can be killed, and is one among the others that guests swap to.
// Answers each message: first what to serve, then questions for the export's figures.

import { answer } from '../../bench/support/helper.ts';
import { type Address, AreaExport, type AreaExportOptions, NbdServer } from '../../src/nbd/index.ts';
import { open, type StoreOptions } from '../../src/zcache/index.ts';

export interface Serve {
  readonly address: Address;
  readonly store: StoreOptions;
  readonly export: AreaExportOptions;
}

let exported: AreaExport | undefined;

answer<Serve | 'stats', unknown>(async (message) => {
  if (message === 'stats') return exported?.stats();
  exported = await AreaExport.open(open(message.store), message.export);
  const server = new NbdServer();
  server.addExport(exported);
  return server.listen(message.address);
});

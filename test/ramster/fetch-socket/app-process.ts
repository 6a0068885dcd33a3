// An application: another process on the store of a node, with no node of its own. It runs the commands of its parent.

import { readFileSync } from 'node:fs';
import { type CachedFile, PageCache } from '../../../src/cleancache/index.ts';
import { AwayPages, SocketFetcher } from '../../../src/ramster/index.ts';
import { open, type Store } from '../../../src/zcache/index.ts';
import { serveCommands } from '../cluster/commands.ts';
import type { Kind } from '../cluster/pages.ts';
import { STORE_OPTIONS, StoredPages, type Versions } from '../cluster/stored-pages.ts';

const READ_BYTES = 1 << 20;

let store: Store;
let fetcher: SocketFetcher;
let away: AwayPages;
let pages: StoredPages;
let file: CachedFile | undefined;

const commands = {
  /** `address`: the node's fetch socket. */
  open(name: string, address: string): void {
    store = open({ name, ...STORE_OPTIONS });
    fetcher = new SocketFetcher(store, address);
    away = new AwayPages(fetcher);
    pages = new StoredPages(store);
  },
  write: (kind: Kind, versions: Versions) => pages.write(kind, versions),
  read: (kind: Kind, indexes: readonly number[]) => pages.read(away, kind, indexes),
  race: (kind: Kind, versions: Versions) => pages.race(away, kind, versions),
  flush: (kind: Kind, indexes: readonly number[]) => pages.flush(kind, indexes),
  /** Reads a file from front to back through the page cache; how many bytes of it are not those of the file. */
  async readFile(path: string): Promise<number> {
    file ??= await new PageCache({ store, fetcher, admit: 'first-read' }).open(path);
    const expected = readFileSync(path);
    const part = Buffer.alloc(READ_BYTES);
    let wrong = 0;
    for (let at = 0; at < expected.length; at += READ_BYTES) {
      const { bytesRead } = await file.read(part, 0, READ_BYTES, at);
      const right = expected.subarray(at, at + READ_BYTES);
      if (bytesRead !== right.length || !part.subarray(0, bytesRead).equals(right)) wrong += right.length;
    }
    return wrong;
  },
  async close(): Promise<void> {
    await file?.close();
    fetcher.close();
    store.close();
  },
};

export type AppCommands = typeof commands;

serveCommands(commands);

// A process that fills a named store: some persistent pages, the rest ephemeral ones. Then it waits, and its part of
// the store looks after the memory. In the end it reads every persistent page.

import { open, type Pool, type Store } from '../../src/index.ts';
import { answer } from '../support/helper.ts';
import { loadPages, PAGE_BYTES, type Pages, withoutSameFilled } from '../support/pages.ts';
import { handleOf, poolOf } from './full-store.ts';

export type HolderMessage =
  | {
      what: 'fill';
      name: string;
      memoryBytes: number;
      persistentPages: number;
      shrinks: boolean;
      pagesFile: string | undefined;
    }
  | { what: 'check' };

export interface Checked {
  /** Persistent pages that were stored, and those of them that are missing or different. */
  stored: number;
  lost: number;
}

/** Puts between two looks at whether the store is full. */
const STEP = 256;

let store: Store;
let pages: Pages;
/** Numbers of the persistent pages that were stored; some do not compress and are refused. */
const stored: number[] = [];

const bytesOf = (page: number) => {
  const at = (page % pages.count) * PAGE_BYTES;
  return pages.bytes.subarray(at, at + PAGE_BYTES);
};

function fill(persistent: Pool, ephemeral: Pool, persistentPages: number): void {
  for (let page = 0; page < persistentPages; page++) {
    if (persistent.put(...handleOf(page), bytesOf(page)) === 'stored') stored.push(page);
  }
  for (let page = 0; ; page++) {
    ephemeral.put(...handleOf(page), bytesOf(page));
    if (page % STEP === 0 && store.stats().reclaim.evicted_raw_pages > 0) return;
  }
}

function check(persistent: Pool): Checked {
  const out = Buffer.alloc(PAGE_BYTES);
  const lost = stored.filter(
    (page) => persistent.getAndKeep(...handleOf(page), out) !== PAGE_BYTES || !out.equals(bytesOf(page)),
  );
  return { stored: stored.length, lost: lost.length };
}

answer((message: HolderMessage): Checked | undefined => {
  if (message.what === 'check') return check(poolOf(store, 'persistent'));
  pages = withoutSameFilled(loadPages(message.pagesFile));
  const { name, memoryBytes, shrinks, persistentPages } = message;
  store = open({ name, memory: memoryBytes, shrinker: { enabled: shrinks } });
  fill(poolOf(store, 'persistent'), poolOf(store, 'ephemeral'), persistentPages);
  return undefined;
});

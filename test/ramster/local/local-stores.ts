// Stores for the tests of what RAMster keeps in one: without a name, and with one that goes with the test.
import { randomBytes } from 'node:crypto';
import { onTestFinished } from 'vitest';
import { open, removeStore, type Store, type StoreOptions } from '../../../src/zcache/index.ts';
import { arenasOf } from '../../../src/zcache/store.ts';

const DEFAULTS = { memory: '16 MiB', debug: true, threads: 4, pools: 64, clients: 31 } as const;

export function privateStore(options: Partial<StoreOptions> = {}): Store {
  const store = open({ ...DEFAULTS, ...options });
  onTestFinished(() => store.close());
  return store;
}

/** A name for a store that is removed when the test ends, and how to open it. */
export function namedStore(options: Partial<StoreOptions> = {}): { name: string; open: () => Store } {
  const name = `ramster-${randomBytes(6).toString('hex')}`;
  const opened: Store[] = [];
  onTestFinished(() => {
    for (const store of opened) store.close();
    removeStore(name);
  });
  return {
    name,
    open() {
      const store = open({ ...DEFAULTS, shrinker: { enabled: false }, ...options, name });
      opened.push(store);
      return store;
    },
  };
}

/** As the shrinker does while the machine is short of memory. */
export function press(store: Store, isPressed: boolean): void {
  for (const arena of arenasOf(store).all) arena.setWord(arena.layout.H_GROWTH_STOPPED, isPressed ? 1 : 0);
}

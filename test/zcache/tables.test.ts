// The tables of pools and clients are read without a lock: whatever ends meanwhile is not there, and never an error.

import { expect, test } from 'vitest';
import type { Arena } from '../../src/arena/index.ts';
import { Oid, open, type Store } from '../../src/index.ts';
import { clientsOf, poolsOf } from '../../src/zcache/raw.ts';
import { arenasOf } from '../../src/zcache/store.ts';

/** Above any length of a name, whichever four bytes are read. */
const page = new Uint8Array(4096).fill(0xfe);
// Not of one value: that would need no frame.
page[page.length - 1] = 0;

/** When a word is read first, something happens after that. */
function afterReading(arena: Arena, address: number, something: () => void): void {
  const word = arena.word.bind(arena);
  const reading = (at: number) => {
    const value = word(at);
    if (at === address) {
      Object.assign(arena, { word });
      something();
    }
    return value;
  };
  Object.assign(arena, { word: reading });
}

/** A page of another client: a frame, and no more of the index when there was one before. */
function putOther(store: Store, index: number): string {
  const pool = store.client('other').pool('raw', { kind: 'persistent', pam: 'raw' });
  return pool.put(Oid.fromNumbers(0), index, page);
}

/** Uses the frame at an address for a page. */
function reuse(store: Store, arena: Arena, address: number): void {
  for (let i = 1; arena.bytes[address] !== page[0]; i++) {
    if (putOther(store, i) !== 'stored') throw new Error('the frame was not used again');
  }
}

test('a pool whose frame is used for something else while it is read is not there', () => {
  using store = open({ memory: '8 MiB' });
  putOther(store, 0);
  const [arena] = arenasOf(store).all;
  const pool = store.client('c').pool('p', { kind: 'persistent' });
  const address = poolsOf(arena).find(({ name }) => name === 'p')!.address;
  afterReading(arena, address + arena.layout.P_STATE, () => {
    pool.destroy();
    arena.wasm.drainSteps(1000);
    reuse(store, arena, address);
  });
  expect(poolsOf(arena).map(({ name }) => name)).toEqual(['raw']);
});

test('a client whose frame is used for something else while it is read is not there', () => {
  using store = open({ memory: '8 MiB' });
  putOther(store, 0);
  const [arena] = arenasOf(store).all;
  const client = store.client('c');
  const { address, id } = clientsOf(arena).find(({ name }) => name === 'c')!;
  afterReading(arena, arena.word(arena.layout.H_CLIENT_TABLE) + 8 * (id & 0xffff) + 4, () => {
    client.remove();
    reuse(store, arena, address);
  });
  expect(clientsOf(arena).map(({ name }) => name)).toEqual(['other']);
});

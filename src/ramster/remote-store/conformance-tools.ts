/** What the cases of the conformance suite share: pages that can be told apart, listing, and claims. */

import type { PageId } from '../page-id.ts';
import type { HeldPage, RemoteStore, TravellingPage } from './remote-store.ts';

/** Batches after which a list is taken to have no end. */
const BATCHES_MOST = 10_000;

/** Pages of one batch: the reply of a peer has to fit into a frame. */
const BATCH_MOST = 1000;

/** Bytes of a cursor: so many travel. */
const CURSOR_BYTES_MAX = 32;

const PUTS_AT_A_TIME = 256;

/** @throws Error when it does not hold */
export function claim(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Error(otherwise);
}

/** A persistent page whose bytes follow from pool, id and length, and from nothing else. */
export function pageOf(pool: number, id: PageId, length = 100 + (id % 3900)): TravellingPage {
  return { pool, kind: 'persistent', id, bytes: bytesOf(pool, id, length) };
}

export function bytesOf(pool: number, id: PageId, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (Math.imul(pool, 0x9e3779b1) ^ Math.imul(id % 2 ** 32, 0x85ebca6b) ^ length) >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state;
  }
  return bytes;
}

export async function store(target: RemoteStore, pages: readonly TravellingPage[]): Promise<void> {
  for (let at = 0; at < pages.length; at += PUTS_AT_A_TIME) {
    const together = pages.slice(at, at + PUTS_AT_A_TIME);
    await Promise.all(together.map((page) => storeOne(target, page)));
  }
}

async function storeOne(target: RemoteStore, page: TravellingPage): Promise<void> {
  const outcome = await target.put(page);
  claim(outcome === 'stored', `put of ${pageText(page)} answers '${outcome}', expected 'stored'`);
}

/** Claims that the store has exactly these bytes under the page's id. */
export async function expectPage(target: RemoteStore, page: TravellingPage, free = false): Promise<void> {
  const found = await target.get(page.pool, page.id, free);
  claim(found !== undefined, `${pageText(page)} is a miss`);
  expectBytes(page, found);
}

export function expectBytes(page: TravellingPage, found: Uint8Array): void {
  const { bytes } = page;
  claim(
    found.length === bytes.length,
    `${pageText(page)} has ${found.length} bytes, put were ${bytes.length}`,
  );
  claim(Buffer.compare(found, bytes) === 0, `${pageText(page)} has other bytes than were put`);
}

export async function expectMiss(target: RemoteStore, { pool, id }: HeldPage): Promise<void> {
  const found = await target.get(pool, id, false);
  claim(found === undefined, `${pageText({ pool, id })} is there, and should be a miss`);
}

/** Everything it lists; `between` runs after each batch. */
export async function listAll(target: RemoteStore, between?: () => Promise<void>): Promise<HeldPage[]> {
  const listed: HeldPage[] = [];
  let cursor: Uint8Array | undefined;
  for (let batch = 0; batch < BATCHES_MOST; batch++) {
    const { pages, next } = await target.list(cursor);
    claim(
      pages.length <= BATCH_MOST,
      `a batch of the list has ${pages.length} pages, allowed are ${BATCH_MOST}`,
    );
    listed.push(...pages);
    if (next === undefined) return listed;
    claim(
      next.length <= CURSOR_BYTES_MAX,
      `a cursor has ${next.length} bytes, allowed are ${CURSOR_BYTES_MAX}`,
    );
    cursor = next;
    await between?.();
  }
  throw new Error('the list has no end');
}

/** Claims that exactly these pages are listed, each once. */
export async function expectListed(target: RemoteStore, pages: readonly HeldPage[]): Promise<void> {
  const expected = pages.map(pageText).sort();
  const listed = (await listAll(target)).map(pageText).sort();
  const twice = listed.find((text, i) => text === listed[i + 1]);
  claim(twice === undefined, `${twice} is listed twice, and nothing changed`);
  const missing = expected.find((text) => !listed.includes(text));
  claim(missing === undefined, `${missing} is there and not listed`);
  const extra = listed.find((text) => !expected.includes(text));
  claim(extra === undefined, `${extra} is listed and should not be there`);
}

/** What a call ends in: its value, or its error. */
export async function outcomeOf<T>(call: () => Promise<T>): Promise<{ value: T } | { error: unknown }> {
  try {
    return { value: await call() };
  } catch (error) {
    return { error };
  }
}

export function pageText({ pool, id }: HeldPage): string {
  return `page ${id} of pool ${pool}`;
}

/** Content of simulated pages: each put has a number, and its page is made from that number alone. */

const LENGTH_LEAST = 12;
const LENGTHS = 60;
/** One in this many is a page of one repeated byte, of which a store keeps next to nothing. */
const TINY_EVERY = 16;
const PAGE_BYTES = 4096;

export function pageOf(stamp: number): Uint8Array {
  if (stamp % TINY_EVERY === 0) return new Uint8Array(1 + (stamp % PAGE_BYTES)).fill(stamp / PAGE_BYTES);
  const page = new Uint8Array(LENGTH_LEAST + (stamp % LENGTHS));
  for (let i = 0; i < page.length; i++) page[i] = stamp * 31 + i * 7;
  new DataView(page.buffer).setUint32(0, stamp, true);
  return page;
}

export function isPageOf(stamp: number, bytes: Uint8Array): boolean {
  return Buffer.compare(pageOf(stamp), bytes) === 0;
}

// Slot words: what the index stores for a handle (the "pampd"), for a node's child or for an object.
//
//   0                     empty, and only empty
//   bits 28-31 tag | bits 0-27 address / 16          for everything that has an address
//   bits 28-31 tag | bits 12-19 byte | bits 0-11 length - 1     a page of one repeated byte, inline
//
// One aligned 32-bit store of such a word publishes a change. An unknown tag is damage, never followed.

export const TAG_NODE: u32 = 1;
export const TAG_LEAF5: u32 = 2;
export const TAG_LEAF15: u32 = 3;
export const TAG_OBJECT: u32 = 4;
export const TAG_FILL: u32 = 5; // inline: one repeated byte
export const TAG_CELL: u32 = 6; // descriptor in a cell, followed by the repeated 64-bit value
export const TAG_RAW: u32 = 7; // descriptor in a cell, page in a frame
export const TAG_ZBUD: u32 = 8; // descriptor in a zbud frame
export const TAG_ZV: u32 = 9; // descriptor in a zv block at a multiple of 16
export const TAG_ZV8: u32 = 10; // the same, 8 bytes further
// Tags 11-15 are free (remote descriptors will be one).

@inline
export function tagOf(word: u32): u32 {
  return word >>> 28;
}

@inline
export function addressOf(word: u32): usize {
  return word << 4;
}

@inline
export function wordOf(tag: u32, address: usize): u32 {
  return (tag << 28) | (<u32>address >>> 4);
}

/** Address of the descriptor a page word names; not for TAG_FILL. */
@inline
export function descriptorOf(word: u32): usize {
  return (word << 4) + (tagOf(word) == TAG_ZV8 ? 8 : 0);
}

@inline
export function zvWord(descriptor: usize): u32 {
  return wordOf((descriptor & 8) != 0 ? TAG_ZV8 : TAG_ZV, descriptor);
}

@inline
export function fillWord(byte: u32, length: u32): u32 {
  return (TAG_FILL << 28) | (byte << 12) | (length - 1);
}

@inline
export function fillByte(word: u32): u32 {
  return (word >>> 12) & 0xff;
}

@inline
export function fillLength(word: u32): u32 {
  return (word & 0xfff) + 1;
}

/** Whether a word stands for a page (and not for a part of the index). */
@inline
export function isPage(word: u32): bool {
  const tag = tagOf(word);
  return tag >= TAG_FILL && tag <= TAG_ZV8;
}

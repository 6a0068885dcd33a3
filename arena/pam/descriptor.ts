// Page descriptor: the 16 bytes that every stored page carries, whichever page-addressable memory holds it.
//
//   word 0   bits 0-12 stored bytes (1..4096) | 13-15 codec | 16-27 page length - 1 | 28-31 of the memory
//   word 1   checksum of the page as the caller gave it
//   word 2   bits 0-27 address of its object / 16 | 28-31 of the memory
//   word 3   index of the page in its object
//
// Object and index are the way from a frame back to the handle ("bottom up"). Words 1-3 are written before the
// page is published; the object address is final from then on.

export const DESCRIPTOR_BYTES: u32 = 16;
/** The bits of word 0 and word 2 that belong to the memory (zv: block flags, extra units). */
export const MEMORY_BITS: u32 = 0xf0000000;

export const CODEC_RAW: u32 = 0; // stored as given
export const CODEC_LZ4: u32 = 1;
export const CODEC_LZO1X: u32 = 2;
export const CODEC_FILL: u32 = 3; // one repeated 64-bit value, kept behind the descriptor (cells only)
export const CODEC_REMOTE: u32 = 4; // the page is elsewhere: stored is a record that says where (tmem/remote.ts)

@inline
export function storedBytes(descriptor: usize): u32 {
  return load<u32>(descriptor) & 0x1fff;
}

@inline
export function codecOf(descriptor: usize): u32 {
  return (load<u32>(descriptor) >>> 13) & 7;
}

@inline
export function lengthOf(descriptor: usize): u32 {
  return ((load<u32>(descriptor) >>> 16) & 0xfff) + 1;
}

@inline
export function checksumOf(descriptor: usize): u32 {
  return load<u32>(descriptor + 4);
}

/** May be read without a lock: the word is always a whole one, new or old. */
@inline
export function objectOf(descriptor: usize): usize {
  return (atomic.load<u32>(descriptor + 8) & ~MEMORY_BITS) << 4;
}

@inline
export function indexOf(descriptor: usize): u32 {
  return atomic.load<u32>(descriptor + 12);
}

/** Fills in all but the object, leaving the memory's bits alone. */
export function describe(descriptor: usize, stored: u32, codec: u32, length: u32, sum: u32, index: u32): void {
  store<u32>(
    descriptor,
    (load<u32>(descriptor) & MEMORY_BITS) | stored | (codec << 13) | ((length - 1) << 16),
  );
  store<u32>(descriptor + 4, sum);
  store<u32>(descriptor + 12, index);
}

export function describeObject(descriptor: usize, object: usize): void {
  store<u32>(descriptor + 8, (load<u32>(descriptor + 8) & MEMORY_BITS) | (<u32>object >>> 4));
}

// What the pages of the tests hold: a page follows from its pool, its index and its version, so one that is lost,
// older, damaged or another's is found, and which it is.

export type Kind = 'persistent' | 'ephemeral';

export const PAGE_BYTES = 4096;
const WORDS = PAGE_BYTES / 4;
/** Words that do not repeat: from pages that compress to almost nothing to those that do not. */
const FRESH_WORDS = [40, 300, 600, WORDS];
/** The others repeat these. */
const PATTERN_WORDS = 8;

export function pageOf(kind: Kind, index: number, version: number): Uint8Array {
  const words = new Uint32Array(WORDS);
  const stamp = [kind === 'persistent' ? 1 : 2, index, version];
  let state = stamp.reduce((sum, word) => Math.imul(sum ^ word, 0x9e37_79b1) ^ (sum >>> 15), 0x2545_f491) | 1;
  const fresh = FRESH_WORDS[(state >>> 8) % FRESH_WORDS.length]!;
  for (let i = 0; i < WORDS; i++) {
    if (i >= fresh) words[i] = words[i % PATTERN_WORDS]!;
    else {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[i] = state;
    }
  }
  // Behind what is repeated, so that it stays in one place.
  for (const [i, word] of stamp.entries()) words[PATTERN_WORDS + i] = word;
  return new Uint8Array(words.buffer);
}

/** The version of this page that these bytes are, all of them; undefined: none. */
export function versionOf(kind: Kind, index: number, bytes: Uint8Array): number | undefined {
  if (bytes.length !== PAGE_BYTES) return undefined;
  const version = Buffer.from(bytes.buffer, bytes.byteOffset, PAGE_BYTES).readUInt32LE(
    4 * (PATTERN_WORDS + 2),
  );
  return Buffer.compare(pageOf(kind, index, version), bytes) === 0 ? version : undefined;
}

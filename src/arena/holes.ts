/**
 * Holes: a file that was copied sparsely, or punched by somebody else, has none of the memory that its store believes
 * to be behind its frames. Touching it there would end the process on a full file system, so it is found out before
 * anything is mapped: the file's blocks are compared with the bits of its backed frames (arena/memory/backed-bits.ts).
 */

import type { ArenaLayout } from './exports.ts';
import { FRAME_BYTES } from './host.ts';
import type { StoreFile } from './store-file.ts';

/** Looks, since others may be getting memory and giving it back meanwhile. */
const LOOKS_MAX = 5;
const BITS_A_BYTE = 8;

/** Frames that should have memory and those that have it; undefined when all is well. */
export function findHoles(
  layout: ArenaLayout,
  file: StoreFile,
  arenas: { readonly count: number; readonly arenaBytes: number },
): { backed: number; held: number } | undefined {
  let found: { backed: number; held: number } | undefined;
  for (let look = 0; look < LOOKS_MAX; look++) {
    // Before, those who get memory at the same time do not matter; after, those who give it back.
    const before = backedFrames(layout, file, arenas);
    const held = Math.floor(file.heldBytes / FRAME_BYTES);
    const backed = Math.min(before, backedFrames(layout, file, arenas));
    if (held >= backed) return undefined;
    found = { backed, held };
  }
  return found;
}

function backedFrames(
  layout: ArenaLayout,
  file: StoreFile,
  { count, arenaBytes }: { readonly count: number; readonly arenaBytes: number },
): number {
  let backed = 0;
  for (let number = 0; number < count; number++) {
    const offset = number * arenaBytes;
    const at = file.read(offset + layout.H_BACKED_BITS, 4).readUInt32LE();
    for (const bits of file.read(offset + at, arenaBytes / FRAME_BYTES / BITS_A_BYTE))
      backed += ONES[bits] ?? 0;
  }
  return backed;
}

/** How many bits are set in each byte. */
const ONES = Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll('0', '').length);

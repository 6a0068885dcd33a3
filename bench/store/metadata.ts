// Metadata: everything that is kept for a page and is not its compressed bytes.
//
//   bytes a page = ( 4096 * frames of the index      objects, leaves and nodes, unused cells included
//                  + 16 * pages                      descriptors
//                  + rounding                        each page to the next 8 bytes
//                  + 8 * frames held )               their entries in the frame table
//                  / pages
//
// in zv. Free space between pages is fragmentation, not metadata: it is part of the density.

import { open } from '../../src/index.ts';
import type { Figures } from '../run.ts';
import { collectGarbage } from '../support/collect.ts';
import { rounded } from '../support/measure.ts';
import { PAGE_BYTES } from '../support/pages.ts';
import { CONTENT_PAGES, makeOids, type Scene } from './scene.ts';

const DESCRIPTOR_BYTES = 16;
const UNIT_BYTES = 8;
const FRAME_ENTRY_BYTES = 8;
const MEMORY = '384 MiB';

export function measureMetadata(scene: Scene): Figures {
  return {
    metadata_bytes_a_page_64: rounded(metadataBytes(scene, 64), 2),
    metadata_bytes_a_page_1: rounded(metadataBytes(scene, 1), 2),
  };
}

function metadataBytes(scene: Scene, pagesAnObject: number): number {
  collectGarbage();
  using store = open({ memory: MEMORY });
  const pool = store.client('bench').pool('pages', { kind: 'persistent', codec: 'lz4', pam: 'zv' });
  const oids = makeOids(CONTENT_PAGES, pagesAnObject);
  let rounding = 0;
  for (let i = 0; i < CONTENT_PAGES; i++) {
    const page = scene.content.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
    const outcome = pool.put(oids[Math.floor(i / pagesAnObject)], i % pagesAnObject, page);
    if (outcome !== 'stored') throw new Error(`metadata: page ${i}: ${outcome}`);
    rounding += -scene.sizes[i % scene.sizes.length] & (UNIT_BYTES - 1);
  }
  const { frames } = store.stats();
  const index = frames.meta_curr_pages * PAGE_BYTES;
  const table = frames.curr_frames * FRAME_ENTRY_BYTES;
  const share = (bytes: number) => (bytes / CONTENT_PAGES).toFixed(2);
  scene.say(
    `metadata, ${pagesAnObject} pages an object: ${share(index)} bytes a page of index, ${DESCRIPTOR_BYTES} of ` +
      `descriptor, ${share(rounding)} of rounding, ${share(table)} of frame table`,
  );
  return (index + rounding + table) / CONTENT_PAGES + DESCRIPTOR_BYTES;
}

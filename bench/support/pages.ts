// The pages a benchmark works on: from a file of 4096-byte pages, the shared real ones, or files of this machine.

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const PAGE_BYTES = 4096;

/** Real swapped pages beside the checkout, where they exist. */
const SHARED_PAGES = new URL('../../../shared/data/swap-pages.bin', import.meta.url);

/** Enough for stable figures, small enough to load at once. */
const MACHINE_PAGES = 4000;

export interface Pages {
  /** Whole pages, one behind the other. */
  bytes: Buffer;
  count: number;
  /** What to call them in a report. */
  source: string;
}

/** `file` when given, else the shared pages, else pages spread over the executable that runs this. */
export function loadPages(file?: string): Pages {
  if (file !== undefined) return wholePages(readFileSync(file), file);
  if (existsSync(SHARED_PAGES)) return wholePages(readFileSync(SHARED_PAGES), fileURLToPath(SHARED_PAGES));
  const executable = wholePages(readFileSync(process.execPath), process.execPath);
  const stride = Math.max(1, Math.floor(executable.count / MACHINE_PAGES));
  return pick(executable, (index) => index % stride === 0);
}

/** Without the pages that are one repeated 64-bit value: those never reach a codec. */
export function withoutSameFilled(pages: Pages): Pages {
  return pick(pages, (index) => {
    const page = pages.bytes.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES);
    return page.compare(page, 8, PAGE_BYTES, 0, PAGE_BYTES - 8) !== 0;
  });
}

function wholePages(bytes: Buffer, source: string): Pages {
  const count = Math.floor(bytes.length / PAGE_BYTES);
  if (count === 0) throw new Error(`${source} holds no whole page of ${PAGE_BYTES} bytes`);
  return { bytes: bytes.subarray(0, count * PAGE_BYTES), count, source };
}

function pick({ bytes, count, source }: Pages, keep: (index: number) => boolean): Pages {
  const kept: Buffer[] = [];
  for (let index = 0; index < count; index++) {
    if (keep(index)) kept.push(bytes.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES));
  }
  return { bytes: Buffer.concat(kept), count: kept.length, source };
}

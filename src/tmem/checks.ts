/** Checks of what callers pass to a pool. Wrong arguments throw; nothing has happened then. */

import { TmemError } from '../errors.ts';

export const PAGE_BYTES = 4096;

export function checkBuffer(bytes: Uint8Array): void {
  if (!(bytes instanceof Uint8Array)) {
    throw new TmemError('TMEM_ERR_TYPE', `bytes: expected a Uint8Array, got ${typeof bytes}`);
  }
}

export function checkPage(bytes: Uint8Array): void {
  checkBuffer(bytes);
  if (bytes.length === 0 || bytes.length > PAGE_BYTES) {
    throw new TmemError(
      'TMEM_ERR_PAGE_LENGTH',
      `page: got ${bytes.length} bytes, allowed are 1 to ${PAGE_BYTES}`,
    );
  }
}

export function checkOffset(what: string, offset: number, length: number): void {
  if (typeof offset !== 'number' || offset >>> 0 !== offset || offset + length > PAGE_BYTES) {
    throw new TmemError(
      'TMEM_ERR_PAGE_LENGTH',
      `${what}: offset ${String(offset)} and ${length} bytes do not lie in a page of ${PAGE_BYTES} bytes`,
    );
  }
}

export function checkSameLength(handles: readonly unknown[], buffers: readonly unknown[]): void {
  if (handles.length !== buffers.length) {
    throw new TmemError(
      'TMEM_ERR_TYPE',
      `many: got ${handles.length} handles and ${buffers.length} buffers; each handle needs one`,
    );
  }
}

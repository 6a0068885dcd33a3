/**
 * Seals pages before they leave, so that a holder sees sizes only and can neither read nor change nor exchange them:
 * AES-256-GCM with the owner's key.
 *
 * The nonce is the page id, which is never used again under this key. The handle is authenticated with the bytes, so a
 * copy of one page cannot be passed off as another's.
 */

import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto';
import type { PageRef } from '../local/local-pages.ts';
import type { PageId } from '../page-id.ts';
import { TAG_BYTES } from '../record.ts';

const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const HANDLE_BYTES = 32;
const WORD = 2 ** 32;

export interface SealedBytes {
  readonly bytes: Uint8Array;
  readonly tag: Uint8Array;
}

export class Sealer {
  /** As bytes it would be prepared anew for every page, which costs three times as much as sealing one. */
  readonly #key: KeyObject;

  /** @param key - 32 bytes */
  constructor(key: Uint8Array) {
    this.#key = createSecretKey(key);
  }

  seal(page: PageRef, id: PageId, bytes: Uint8Array): SealedBytes {
    const cipher = createCipheriv(ALGORITHM, this.#key, nonceOf(id), { authTagLength: TAG_BYTES });
    cipher.setAAD(handleBytes(page));
    const sealed = cipher.update(bytes);
    cipher.final();
    return { bytes: plain(sealed), tag: plain(cipher.getAuthTag()) };
  }

  /** Undefined: these are not the bytes that were sealed for this handle under this id. */
  open(page: PageRef, id: PageId, { bytes, tag }: SealedBytes): Uint8Array | undefined {
    const decipher = createDecipheriv(ALGORITHM, this.#key, nonceOf(id), { authTagLength: TAG_BYTES });
    decipher.setAAD(handleBytes(page));
    decipher.setAuthTag(tag);
    const opened = decipher.update(bytes);
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return plain(opened);
  }
}

/** Never a Buffer, whose slice would not copy. */
function plain({ buffer, byteOffset, length }: Buffer): Uint8Array {
  return new Uint8Array(buffer, byteOffset, length);
}

function nonceOf(id: PageId): Uint8Array {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeUInt32LE(id % WORD, NONCE_BYTES - 8);
  nonce.writeUInt32LE(Math.floor(id / WORD), NONCE_BYTES - 4);
  return nonce;
}

function handleBytes({ pool, oid, index }: PageRef): Uint8Array {
  const bytes = Buffer.allocUnsafe(HANDLE_BYTES);
  for (const [i, word] of [pool, oid.w0, oid.w1, oid.w2, oid.w3, oid.w4, oid.w5, index].entries()) {
    bytes.writeUInt32LE(word >>> 0, i * 4);
  }
  return bytes;
}

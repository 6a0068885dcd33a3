/**
 * The file of a disk store: a header, and slots of one page each. Little-endian.
 *
 *   header, 4096 bytes
 *      0  8 bytes  'TMEMDISK'
 *      8  u32      version 1
 *     12  u32      bytes of a slot: 4120
 *     16  16 bytes id of this memory, drawn when the file was begun
 *     32  u32      memory of the owner
 *     36  u8       length of the owner's name, and the name: up to 40 bytes
 *     80  u32      CRC-32 of bytes 0 to 79
 *   slot n at 4096 + 4120 n
 *      0  4096 bytes  the page at the end of these
 *   4096  u64      page id
 *   4104  u32      pool
 *   4108  u16      length of the page; 0: free
 *   4110  u8       kind: 1 ephemeral, 2 persistent
 *   4111  u8       0
 *   4112  u32      CRC-32 of the page and of bytes 4096 to 4111
 *   4116  u32      0
 *
 * A slot is written with one call, page first: what is torn has a wrong CRC and counts as free. Nothing is synced: the
 * records that name these pages are in memory, and end with the machine, too. What a process wrote before it was killed
 * is in the page cache, and is there for the next one.
 */

import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { descriptors, PAGE_BYTES, type PoolKind, TmemError } from '../../zcache/index.ts';
import type { Owner } from '../local/foreign-pages.ts';
import type { HeldPage, TravellingPage } from './remote-store.ts';

const MAGIC = 'TMEMDISK';
const VERSION = 1;
const HEADER_BYTES = 4096;
const TRAILER_BYTES = 24;
export const SLOT_BYTES = PAGE_BYTES + TRAILER_BYTES;

const HEADER = {
  version: 8,
  slotBytes: 12,
  memory: 16,
  ownerMemory: 32,
  nameLength: 36,
  name: 37,
  crc: 80,
} as const;
const TRAILER = { id: 0, pool: 8, length: 12, kind: 14, crc: 16 } as const;
const KINDS: readonly (PoolKind | undefined)[] = [undefined, 'ephemeral', 'persistent'];

/** Readable and writable by its owner, by nobody else: pages that are not sealed are other programs' memory. */
const FILE_MODE = 0o600;
const OTHERS_BITS = 0o077;

/** Slots read at a time when the file is gone through. */
const SCAN_SLOTS = 256;

export interface FoundPage extends HeldPage {
  readonly slot: number;
  readonly kind: PoolKind;
  readonly length: number;
}

export class SlotFile {
  readonly path: string;
  /** Random id of this memory, 16 bytes. */
  readonly memory: Uint8Array;
  readonly #file: FileHandle;
  readonly #header: Uint8Array;

  private constructor(path: string, file: FileHandle, header: Uint8Array) {
    this.path = path;
    this.#file = file;
    this.#header = header;
    this.memory = header.subarray(HEADER.memory, HEADER.memory + 16);
  }

  /**
   * Opens the file of an owner, or begins one. One of an earlier memory of this owner is begun anew: nothing names its
   * pages any more.
   *
   * @throws TmemError TMEM_ERR_BACKING_FILE, TMEM_ERR_NO_KOFFI; the errors of node:fs
   */
  static async open(path: string, owner: Owner): Promise<SlotFile> {
    const system = descriptors();
    if (system === undefined) {
      const why = 'keeping pages on the disk needs a file lock, and so the optional package koffi';
      throw new TmemError('TMEM_ERR_NO_KOFFI', `${why}, which cannot be loaded here`);
    }
    const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
    const file = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, FILE_MODE);
    try {
      const about = await file.stat();
      if (!about.isFile()) throw wrong(path, 'is no regular file');
      if (about.uid !== process.geteuid?.()) throw wrong(path, `belongs to user ${about.uid}`);
      if ((about.mode & OTHERS_BITS) !== 0)
        throw wrong(path, 'may be read or written by others; set its mode to 0600');
      if (about.nlink !== 1) throw wrong(path, `has ${about.nlink} names, expected is one`);
      if (!system.lock(file.fd)) throw wrong(path, 'is in use, by another process or another store');
      const header = about.size === 0 ? undefined : await readHeader(path, file);
      const isOurs = header !== undefined && isHeaderOf(path, header, owner);
      return new SlotFile(path, file, isOurs ? header : await begin(file, owner));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Slots that the file reaches over. */
  async slots(): Promise<number> {
    const { size } = await this.#file.stat();
    return Math.max(0, Math.ceil((size - HEADER_BYTES) / SLOT_BYTES));
  }

  /** All whole pages, slot by slot. */
  async *pages(): AsyncGenerator<FoundPage> {
    const slots = await this.slots();
    const bytes = Buffer.alloc(SCAN_SLOTS * SLOT_BYTES);
    for (let first = 0; first < slots; first += SCAN_SLOTS) {
      const read = await readAll(this.#file, bytes, positionOf(first));
      for (let i = 0; (i + 1) * SLOT_BYTES <= read; i++) {
        const found = parseSlot(bytes.subarray(i * SLOT_BYTES, (i + 1) * SLOT_BYTES));
        if (found !== undefined) yield { ...found.page, slot: first + i, length: found.bytes.length };
      }
    }
  }

  async write(slot: number, page: TravellingPage): Promise<void> {
    const { length } = page.bytes;
    const bytes = Buffer.allocUnsafe(length + TRAILER_BYTES);
    bytes.set(page.bytes);
    const trailer = bytes.subarray(length).fill(0);
    trailer.writeBigUInt64LE(BigInt(page.id), TRAILER.id);
    trailer.writeUInt32LE(page.pool, TRAILER.pool);
    trailer.writeUInt16LE(length, TRAILER.length);
    trailer.writeUInt8(KINDS.indexOf(page.kind), TRAILER.kind);
    trailer.writeUInt32LE(crc32(bytes.subarray(0, length + TRAILER.crc)), TRAILER.crc);
    await writeAll(this.#file, bytes, positionOf(slot) + PAGE_BYTES - length);
  }

  /** The bytes of a page of `length` bytes; undefined when the slot does not hold it whole. */
  async read(slot: number, { pool, id }: HeldPage, length: number): Promise<Uint8Array | undefined> {
    const bytes = Buffer.allocUnsafe(length + TRAILER_BYTES);
    const read = await readAll(this.#file, bytes, positionOf(slot) + PAGE_BYTES - length);
    const found = read < bytes.length ? undefined : parseSlot(bytes);
    return found?.page.id === id && found.page.pool === pool ? found.bytes : undefined;
  }

  async clear(slot: number): Promise<void> {
    await writeAll(this.#file, Buffer.alloc(TRAILER_BYTES), positionOf(slot) + PAGE_BYTES);
  }

  /** Reads and writes a little, to see whether the file can be used. */
  async probe(): Promise<void> {
    const bytes = Buffer.alloc(HEADER_BYTES);
    await readAll(this.#file, bytes, 0);
    if (Buffer.compare(bytes, this.#header) !== 0)
      throw new Error(`${this.path} was changed by somebody else`);
    await writeAll(this.#file, bytes, 0);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

function positionOf(slot: number): number {
  return HEADER_BYTES + slot * SLOT_BYTES;
}

/** What the end of a slot, with at least the whole page before it, says; undefined: it is free, or torn. */
function parseSlot(
  slot: Buffer,
): { readonly page: HeldPage & { readonly kind: PoolKind }; readonly bytes: Uint8Array } | undefined {
  const trailerAt = slot.length - TRAILER_BYTES;
  const trailer = slot.subarray(trailerAt);
  const length = trailer.readUInt16LE(TRAILER.length);
  const kind = KINDS[trailer.readUInt8(TRAILER.kind)];
  if (length === 0 || length > trailerAt || kind === undefined) return undefined;
  const start = trailerAt - length;
  if (crc32(slot.subarray(start, trailerAt + TRAILER.crc)) !== trailer.readUInt32LE(TRAILER.crc))
    return undefined;
  const id = Number(trailer.readBigUInt64LE(TRAILER.id));
  return {
    page: { id, pool: trailer.readUInt32LE(TRAILER.pool), kind },
    bytes: slot.subarray(start, trailerAt),
  };
}

async function begin(file: FileHandle, owner: Owner): Promise<Uint8Array> {
  await file.truncate(0);
  const header = Buffer.alloc(HEADER_BYTES);
  const name = Buffer.from(owner.name);
  header.write(MAGIC, 0, 'latin1');
  header.writeUInt32LE(VERSION, HEADER.version);
  header.writeUInt32LE(SLOT_BYTES, HEADER.slotBytes);
  header.set(randomBytes(16), HEADER.memory);
  header.writeUInt32LE(owner.memory, HEADER.ownerMemory);
  header.writeUInt8(name.length, HEADER.nameLength);
  header.set(name, HEADER.name);
  header.writeUInt32LE(crc32(header.subarray(0, HEADER.crc)), HEADER.crc);
  await writeAll(file, header, 0);
  return header;
}

/** @throws TmemError TMEM_ERR_BACKING_FILE */
async function readHeader(path: string, file: FileHandle): Promise<Buffer> {
  const header = Buffer.alloc(HEADER_BYTES);
  const read = await readAll(file, header, 0);
  const isOne = read === HEADER_BYTES && header.toString('latin1', 0, MAGIC.length) === MAGIC;
  if (!isOne || crc32(header.subarray(0, HEADER.crc)) !== header.readUInt32LE(HEADER.crc)) {
    throw wrong(
      path,
      'has something else in it than pages sent to the disk; choose another name, or remove it',
    );
  }
  const version = header.readUInt32LE(HEADER.version);
  if (version !== VERSION || header.readUInt32LE(HEADER.slotBytes) !== SLOT_BYTES) {
    throw wrong(path, `was written by another version (${version}); remove it, or use that version`);
  }
  return header;
}

/** @throws TmemError TMEM_ERR_BACKING_FILE when it belongs to another node */
function isHeaderOf(path: string, header: Buffer, owner: Owner): boolean {
  const length = header.readUInt8(HEADER.nameLength);
  const name = header.toString('utf8', HEADER.name, HEADER.name + length);
  if (name !== owner.name)
    throw wrong(path, `has the pages of node '${name}'; give each node a file of its own`);
  return header.readUInt32LE(HEADER.ownerMemory) === owner.memory;
}

/** Reads until `bytes` is full or the file ends; how many bytes that were. */
async function readAll(file: FileHandle, bytes: Buffer, position: number): Promise<number> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

function wrong(path: string, what: string): TmemError {
  return new TmemError('TMEM_ERR_BACKING_FILE', `file for pages sent to the disk ${path}: ${what}`);
}

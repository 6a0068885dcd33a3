/**
 * Fields of fixed places, little-endian. Whoever reads has checked that the bytes reach that far; values are checked
 * here.
 */

import { PAGE_BYTES } from '../../zcache/index.ts';
import { PAGE_ID_MAX, type PageId } from '../page-id.ts';
import { WireError } from './wire-error.ts';

/** Bytes of a pool and a page id, as in lists of pages. */
export const HELD_BYTES = 12;

export function readU16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

export function writeU32(into: Buffer, at: number, value: number, what: string): void {
  if (value >>> 0 !== value) throw new WireError(`${what} is ${value}, no u32`);
  into.writeUInt32LE(value, at);
}

/** A u64 that is an exact number, at most 2^53 - 1. */
export function readU64(bytes: Uint8Array, at: number, what: string): number {
  const value = readU32(bytes, at) + readU32(bytes, at + 4) * 2 ** 32;
  if (value > Number.MAX_SAFE_INTEGER) throw new WireError(`${what} is above 2^53 - 1`);
  return value;
}

export function writeU64(into: Buffer, at: number, value: number, what: string): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new WireError(`${what} is ${value}, no whole number from 0 to 2^53 - 1`);
  }
  const low = value >>> 0;
  into.writeUInt32LE(low, at);
  into.writeUInt32LE((value - low) / 2 ** 32, at + 4);
}

export function readId(bytes: Uint8Array, at: number): PageId {
  const id = readU64(bytes, at, 'page id');
  if (id === 0) throw new WireError('page id is 0');
  return id;
}

export function writeId(into: Buffer, at: number, id: PageId): void {
  between(id, 1, PAGE_ID_MAX, 'page id');
  writeU64(into, at, id, 'page id');
}

/** A byte that is 0 or 1. */
export function readFlag(bytes: Uint8Array, at: number, what: string): boolean {
  between(bytes[at]!, 0, 1, what);
  return bytes[at] === 1;
}

/** Checks that the bytes from `at` to `end` (not included) are 0. */
export function zeros(bytes: Uint8Array, at: number, end: number, what: string): void {
  for (let i = at; i < end; i++) {
    if (bytes[i] !== 0) throw new WireError(`${what}: byte ${i} is ${bytes[i]}; it must be 0`);
  }
}

export function between(value: number, min: number, max: number, what: string): void {
  if (!(value >= min && value <= max)) throw new WireError(`${what}: ${value}, allowed are ${min} to ${max}`);
}

export function exactly(body: Uint8Array, length: number, what: string): void {
  if (body.length !== length) throw new WireError(`${what}: ${body.length} bytes, it must be ${length}`);
}

export function pageLength(length: number, what: string): void {
  between(length, 1, PAGE_BYTES, `${what}: bytes of the page`);
}

/**
 * The many forms of a read: FileHandle.read takes its arguments one by one, as options, or half and half.
 */

import { TmemError } from '../zcache/index.ts';

/** Buffer of a read that brings none; the size FileHandle.read uses. */
const BUFFER_BYTES_DEFAULT = 16 * 1024;

export interface ReadOptions {
  /** Where in the buffer to begin, in bytes; 0 by default. */
  offset?: number | null;
  /** How many bytes to read; by default what the buffer holds from `offset` on. */
  length?: number | null;
  /** Where in the file to begin, in bytes; null or -1 (default): where the last read without one ended. */
  position?: number | bigint | null;
}

export interface ReadRequest<T> {
  readonly buffer: T;
  /** The part of `buffer` to fill. */
  readonly out: Uint8Array;
  readonly position: number | undefined;
}

/** @throws TmemError TMEM_ERR_TYPE if there is no buffer, TMEM_ERR_SETTING if the numbers do not fit it */
export function readArguments<T extends NodeJS.ArrayBufferView>(
  first?: T | (ReadOptions & { buffer?: T }) | null,
  second?: number | null | ReadOptions,
  length?: number | null,
  position?: number | bigint | null,
): ReadRequest<T> {
  if (ArrayBuffer.isView(first)) {
    const options =
      typeof second === 'object' && second !== null ? second : { offset: second, length, position };
    return request(first, options);
  }
  if (first !== undefined && (first === null || typeof first !== 'object')) {
    throw new TmemError('TMEM_ERR_TYPE', `read: expects a buffer or options, got ${String(first)}`);
  }
  const buffer =
    first?.buffer ?? (Buffer.allocUnsafeSlow(BUFFER_BYTES_DEFAULT) as NodeJS.ArrayBufferView as T);
  if (!ArrayBuffer.isView(buffer)) {
    throw new TmemError('TMEM_ERR_TYPE', 'read: buffer must be a Buffer, TypedArray or DataView');
  }
  return request(buffer, first ?? {});
}

function request<T extends NodeJS.ArrayBufferView>(buffer: T, options: ReadOptions): ReadRequest<T> {
  const offset = options.offset ?? 0;
  if (!isCount(offset) || offset > buffer.byteLength) {
    throw outOfRange('offset', offset, `0 to ${buffer.byteLength}, the bytes of the buffer`);
  }
  const length = options.length ?? buffer.byteLength - offset;
  if (!isCount(length) || length > buffer.byteLength - offset) {
    throw outOfRange(
      'length',
      length,
      `0 to ${buffer.byteLength - offset}, what the buffer holds from offset on`,
    );
  }
  const position = options.position ?? -1;
  const start = Number(position);
  if (start !== -1 && !isCount(start)) {
    throw outOfRange('position', position, '0 to 2^53 - 1, or null or -1 for the current position');
  }
  return {
    buffer,
    out: new Uint8Array(buffer.buffer, buffer.byteOffset + offset, length),
    position: start === -1 ? undefined : start,
  };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function outOfRange(name: string, given: unknown, allowed: string): TmemError {
  return new TmemError('TMEM_ERR_SETTING', `read: ${name}: got ${String(given)}, allowed is ${allowed}`);
}

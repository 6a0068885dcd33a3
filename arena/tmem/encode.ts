// Encoding: from a page to what is stored of it, and back. No lock is held here.
//
// encode() looks once over the page (checksum, same-filled; also brings it into the cache), then compresses it into
// the slot's S_PACKED area; decode() takes what copyOut() brought there under the lock.

import { lz4Compress, lz4Decompress } from '../codec/lz4';
import { lzo1xCompress, lzo1xDecompress } from '../codec/lzo1x';
import { checksum, fillRepeated, repeatedValue, scanPage, scannedChecksum, scannedSame } from '../codec/page-scan';
import { PAM_RAW, S_PACKED, S_TABLE } from '../memory/layout';
import { mustHoldNoLock } from '../memory/lock';
import { slotAddress } from '../memory/slot';
import { TAG_FILL, descriptorOf, fillByte, fillLength, fillWord, tagOf } from '../memory/word';
import {
  CODEC_FILL,
  CODEC_LZ4,
  CODEC_LZO1X,
  CODEC_RAW,
  checksumOf,
  codecOf,
  lengthOf,
  storedBytes,
} from '../pam/descriptor';
import { memoryData } from '../pam/pam';

/** What encode() found; one wasm instance a thread, so globals are the thread's own. */
let encCodec: u32 = 0;
let encBytes: u32 = 0;
let encSum: u32 = 0;
let encValue: u64 = 0;
let encData: usize = 0;

export function encodedCodec(): u32 {
  return encCodec;
}

/** Stored bytes; 0 = does not compress to the bytes allowed. */
export function encodedBytes(): u32 {
  return encBytes;
}

export function encodedSum(): u32 {
  return encSum;
}

export function encodedData(): usize {
  return encData;
}

export function encodedValue(): u64 {
  return encValue;
}

/** The inline word of a page of one repeated byte; 0 when the repeated value has different bytes. */
export function encodedFill(length: u32): u32 {
  const byte: u64 = encValue & 0xff;
  const short = length < 8 ? ~(<u64>0) >> ((8 - length) << 3) : ~(<u64>0);
  return ((byte * 0x0101010101010101) & short) == (encValue & short) ? fillWord(<u32>byte, length) : 0;
}

/**
 * `bytesMax`: more compressed bytes than this count as incompressible. A page of a raw pool, and one that is not to be
 * compressed (CODEC_RAW), is only looked at.
 */
export function encode(source: usize, length: u32, codec: u32, pam: u32, bytesMax: u32): void {
  mustHoldNoLock();
  const scan = scanPage(source, length);
  encSum = scannedChecksum(scan);
  encCodec = codec;
  encData = source;
  encBytes = length;
  if (pam == PAM_RAW) {
    encCodec = CODEC_RAW;
    return;
  }
  if (scannedSame(scan)) {
    encValue = repeatedValue(source, length);
    encCodec = CODEC_FILL;
    encBytes = 8;
    return;
  }
  if (codec == CODEC_RAW) return;
  const packed = slotAddress() + S_PACKED;
  const table = slotAddress() + S_TABLE;
  encData = packed;
  encBytes =
    codec == CODEC_LZ4
      ? lz4Compress(source, length, packed, bytesMax, table)
      : lzo1xCompress(source, length, packed, bytesMax, table);
}

let outWord: u32 = 0;
let outCodec: u32 = 0;
let outBytes: u32 = 0;
let outLength: u32 = 0;
let outSum: u32 = 0;
let outAt: usize = 0;

/** Length of the page that a word names. Under the lock. */
export function pageLength(word: u32): u32 {
  return tagOf(word) == TAG_FILL ? fillLength(word) : lengthOf(descriptorOf(word));
}

/** Under the lock: takes down what decode() needs; stored bytes go to S_PACKED, a raw page straight to `target`. */
export function copyOut(word: u32, target: usize): void {
  outWord = word;
  if (tagOf(word) == TAG_FILL) {
    outLength = fillLength(word);
    return;
  }
  const descriptor = descriptorOf(word);
  outCodec = codecOf(descriptor);
  outBytes = storedBytes(descriptor);
  outLength = lengthOf(descriptor);
  outSum = checksumOf(descriptor);
  outAt = outCodec == CODEC_RAW ? target : slotAddress() + S_PACKED;
  memory.copy(outAt, memoryData(word), outBytes);
}

/** Writes the page that copyOut() took down to `target`; its length, 0 when it is damaged. */
export function decode(target: usize, verify: bool): u32 {
  mustHoldNoLock();
  if (tagOf(outWord) == TAG_FILL) {
    memory.fill(target, <u8>fillByte(outWord), outLength);
    return outLength;
  }
  if (outCodec == CODEC_FILL) {
    fillRepeated(target, outLength, load<u64>(outAt));
  } else if (outCodec == CODEC_LZ4) {
    if (lz4Decompress(outAt, outBytes, target, outLength) != outLength) return 0;
  } else if (outCodec == CODEC_LZO1X) {
    if (lzo1xDecompress(outAt, outBytes, target, outLength) != outLength) return 0;
  } else if (outCodec == CODEC_RAW) {
    if (outAt != target) memory.copy(target, outAt, outLength);
  } else {
    return 0;
  }
  if (verify && checksum(target, outLength) != outSum) return 0;
  return outLength;
}

/** Whether stored bytes from elsewhere decode to a page of this length and checksum; the page is at `target` then. */
export function decodeFrom(source: usize, bytes: u32, codec: u32, length: u32, sum: u32, target: usize): bool {
  outWord = 0;
  outCodec = codec;
  outBytes = bytes;
  outLength = length;
  outSum = sum;
  outAt = source;
  return decode(target, true) == length;
}

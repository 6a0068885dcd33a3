// Reads the outline of a wasm module: its sections, and the data segments that instantiation copies into memory.
// An arena is one memory under many instances, so what a data segment writes is written again by each new thread.

const sectionIdData = 11;
const headerBytes = 8;
const opI32Const = 0x41;
const opEnd = 0x0b;

/** A segment that every instantiation copies to `address`. */
export interface ActiveSegment {
  address: number;
  bytes: number;
}

class Reader {
  private readonly source: Uint8Array;
  position: number;

  constructor(source: Uint8Array, position: number) {
    this.source = source;
    this.position = position;
  }

  byte(): number {
    const value = this.source[this.position++];
    if (value === undefined) throw new Error('wasm module ends in the middle of a section');
    return value;
  }

  /** LEB128 of at most 5 bytes; addresses above 2 GiB come out of the signed form and are folded back by `>>> 0`. */
  leb128(signed: boolean): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const part = this.byte();
      value |= (part & 0x7f) << shift;
      if (part & 0x80) continue;
      if (signed && shift + 7 < 32 && part & 0x40) value |= -1 << (shift + 7);
      return value >>> 0;
    }
    throw new Error('wasm module holds a number longer than 5 bytes');
  }
}

/** Active segments of a module's data section, in order; passive ones (flag 1) are left out. */
export function activeSegments(module: Uint8Array): ActiveSegment[] {
  const segments: ActiveSegment[] = [];
  const reader = new Reader(module, headerBytes);
  while (reader.position < module.length) {
    const id = reader.byte();
    const end = reader.leb128(false) + reader.position;
    if (id === sectionIdData) readDataSection(reader, segments);
    reader.position = end;
  }
  return segments;
}

function readDataSection(reader: Reader, segments: ActiveSegment[]): void {
  const count = reader.leb128(false);
  for (let i = 0; i < count; i++) {
    const flag = reader.leb128(false);
    const passive = (flag & 1) !== 0;
    if (flag & 2) reader.leb128(false); // the memory's number: always 0 here
    let address = 0;
    if (!passive) {
      if (reader.byte() !== opI32Const) throw new Error('data segment at an address that is no constant');
      address = reader.leb128(true);
      if (reader.byte() !== opEnd) throw new Error('data segment at an address that is no constant');
    }
    const bytes = reader.leb128(false);
    reader.position += bytes;
    if (!passive) segments.push({ address, bytes });
  }
}

// The numbers of the NBD protocol. They are written down here a second time on purpose: a suite that took them from the
// server it tests would not see a wrong one.

export const GREETING_MAGIC = 0x4e42444d41474943n;
export const OPTION_MAGIC = 0x49484156454f5054n;
export const OLDSTYLE_MAGIC = 0x0000420281861253n;
export const OPTION_REPLY_MAGIC = 0x0003e889045565a9n;
export const REQUEST_MAGIC = 0x25609513;
export const SIMPLE_REPLY_MAGIC = 0x67446698;
export const STRUCTURED_REPLY_MAGIC = 0x668e33ef;
export const EXTENDED_REQUEST_MAGIC = 0x21e41c71;
export const EXTENDED_REPLY_MAGIC = 0x6e8a278c;

/** Zeroes after the answer to EXPORT_NAME, unless both sides agreed to leave them out. */
export const EXPORT_NAME_PADDING_BYTES = 124;
/** No string of the protocol may be longer. */
export const STRING_BYTES_MAX = 4096;
/** Strings ought not to be longer. */
export const STRING_BYTES_USUAL_MAX = 256;
/** A payload up to this size is no attack, and a server without block-size constraints supports it. */
export const PAYLOAD_BYTES_USUAL = 32 * 1024 * 1024;
/** A read with DF up to this length comes in one piece. */
export const UNFRAGMENTED_BYTES_MIN = 65_536;
/** No block-status chunk ought to hold more extents. */
export const EXTENTS_MAX = 2 ** 20;

export const HandshakeFlag = { FIXED_NEWSTYLE: 1, NO_ZEROES: 2 } as const;
export const ClientFlag = { FIXED_NEWSTYLE: 1, NO_ZEROES: 2 } as const;

export const ExportFlag = {
  HAS_FLAGS: 1 << 0,
  READ_ONLY: 1 << 1,
  SEND_FLUSH: 1 << 2,
  SEND_FUA: 1 << 3,
  ROTATIONAL: 1 << 4,
  SEND_TRIM: 1 << 5,
  SEND_WRITE_ZEROES: 1 << 6,
  SEND_DF: 1 << 7,
  CAN_MULTI_CONN: 1 << 8,
  SEND_RESIZE: 1 << 9,
  SEND_CACHE: 1 << 10,
  SEND_FAST_ZERO: 1 << 11,
  BLOCK_STATUS_PAYLOAD: 1 << 12,
} as const;

export const Option = {
  EXPORT_NAME: 1,
  ABORT: 2,
  LIST: 3,
  STARTTLS: 5,
  INFO: 6,
  GO: 7,
  STRUCTURED_REPLY: 8,
  LIST_META_CONTEXT: 9,
  SET_META_CONTEXT: 10,
  EXTENDED_HEADERS: 11,
} as const;

/** An option that no version of the protocol defines. */
export const UNKNOWN_OPTION = 0x6e6f7065;

const ERROR_BIT = 2 ** 31;

export const Reply = {
  ACK: 1,
  SERVER: 2,
  INFO: 3,
  META_CONTEXT: 4,
  ERR_UNSUP: ERROR_BIT + 1,
  ERR_POLICY: ERROR_BIT + 2,
  ERR_INVALID: ERROR_BIT + 3,
  ERR_PLATFORM: ERROR_BIT + 4,
  ERR_TLS_REQD: ERROR_BIT + 5,
  ERR_UNKNOWN: ERROR_BIT + 6,
  ERR_SHUTDOWN: ERROR_BIT + 7,
  ERR_BLOCK_SIZE_REQD: ERROR_BIT + 8,
  ERR_TOO_BIG: ERROR_BIT + 9,
  ERR_EXT_HEADER_REQD: ERROR_BIT + 10,
} as const;

export const Info = { EXPORT: 0, NAME: 1, DESCRIPTION: 2, BLOCK_SIZE: 3 } as const;
/** An information type that no version of the protocol defines. */
export const UNKNOWN_INFO = 0x7e57;

export const Command = {
  READ: 0,
  WRITE: 1,
  DISC: 2,
  FLUSH: 3,
  TRIM: 4,
  CACHE: 5,
  WRITE_ZEROES: 6,
  BLOCK_STATUS: 7,
} as const;

/** A command that no version of the protocol defines. */
export const UNKNOWN_COMMAND = 0x7e57;

export const CommandFlag = { FUA: 1, NO_HOLE: 2, DF: 4, REQ_ONE: 8, FAST_ZERO: 16, PAYLOAD_LEN: 32 } as const;
/** A command flag that no version of the protocol defines. */
export const UNKNOWN_COMMAND_FLAG = 1 << 15;

export const CHUNK_DONE = 1;

export const Chunk = {
  NONE: 0,
  OFFSET_DATA: 1,
  OFFSET_HOLE: 2,
  BLOCK_STATUS: 5,
  BLOCK_STATUS_EXT: 6,
  ERROR: 2 ** 15 + 1,
  ERROR_OFFSET: 2 ** 15 + 2,
} as const;

/** All error chunks, known or not, have this bit. */
export const CHUNK_ERROR_BIT = 2 ** 15;

export const Errno = {
  NONE: 0,
  EPERM: 1,
  EIO: 5,
  ENOMEM: 12,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESHUTDOWN: 108,
} as const;

/** Flags of an extent in base:allocation. */
export const Extent = { HOLE: 1, ZERO: 2 } as const;

export const ALLOCATION = 'base:allocation';

function nameIn(table: Record<string, number>, value: number): string | undefined {
  return Object.keys(table).find((name) => table[name] === value);
}

export function optionName(option: number): string {
  return nameIn(Option, option) ?? `option ${option}`;
}

export function replyName(type: number): string {
  return nameIn(Reply, type) ?? `reply type 0x${type.toString(16)}`;
}

export function commandName(type: number): string {
  return nameIn(Command, type) ?? `command ${type}`;
}

export function chunkName(type: number): string {
  return nameIn(Chunk, type) ?? `chunk type ${type}`;
}

/** 'success' for 0. */
export function errnoName(error: number): string {
  return error === 0 ? 'success' : (nameIn(Errno, error) ?? `error ${error}`);
}

/** The flags' names, such as 'READ_ONLY, SEND_FLUSH'. */
export function exportFlagNames(flags: number): string {
  const names = Object.entries(ExportFlag).flatMap(([name, bit]) => ((flags & bit) === 0 ? [] : [name]));
  return names.join(', ') || 'none';
}

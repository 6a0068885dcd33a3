/**
 * The numbers of the NBD protocol, by the names of its document (doc/proto.md of NetworkBlockDevice/nbd) without their
 * NBD_ prefix. All fields on the wire are big-endian.
 */

/** 'NBDMAGIC', 'IHAVEOPT', and what begins each option reply; 64 bits each. */
export const GREETING_MAGIC = 0x4e42444d41474943n;
export const OPTION_MAGIC = 0x49484156454f5054n;
export const OPTION_REPLY_MAGIC = 0x0003e889045565a9n;

/** 32 bits each. */
export const REQUEST_MAGIC = 0x25609513;
export const SIMPLE_REPLY_MAGIC = 0x67446698;
export const STRUCTURED_REPLY_MAGIC = 0x668e33ef;
export const EXTENDED_REQUEST_MAGIC = 0x21e41c71;
export const EXTENDED_REPLY_MAGIC = 0x6e8a278c;

/** Flags of the server's greeting; the client answers with the same bits. */
export const FLAG_FIXED_NEWSTYLE = 1;
export const FLAG_NO_ZEROES = 2;

export const OPT = {
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

const ERROR_REPLY = 0x8000_0000;

export const REP = {
  ACK: 1,
  SERVER: 2,
  INFO: 3,
  META_CONTEXT: 4,
  ERR_UNSUP: ERROR_REPLY + 1,
  ERR_POLICY: ERROR_REPLY + 2,
  ERR_INVALID: ERROR_REPLY + 3,
  ERR_TLS_REQD: ERROR_REPLY + 5,
  ERR_UNKNOWN: ERROR_REPLY + 6,
  ERR_SHUTDOWN: ERROR_REPLY + 7,
  ERR_TOO_BIG: ERROR_REPLY + 9,
  ERR_EXT_HEADER_REQD: ERROR_REPLY + 10,
} as const;

export const INFO = { EXPORT: 0, NAME: 1, DESCRIPTION: 2, BLOCK_SIZE: 3 } as const;

/** What an export can do: its transmission flags. */
export const CAN = {
  HAS_FLAGS: 1 << 0,
  READ_ONLY: 1 << 1,
  FLUSH: 1 << 2,
  FUA: 1 << 3,
  TRIM: 1 << 5,
  WRITE_ZEROES: 1 << 6,
  DF: 1 << 7,
  MULTI_CONN: 1 << 8,
  CACHE: 1 << 10,
  FAST_ZERO: 1 << 11,
} as const;

export const CMD = {
  READ: 0,
  WRITE: 1,
  DISC: 2,
  FLUSH: 3,
  TRIM: 4,
  CACHE: 5,
  WRITE_ZEROES: 6,
  BLOCK_STATUS: 7,
} as const;

export const CMD_FLAG = {
  FUA: 1 << 0,
  NO_HOLE: 1 << 1,
  DF: 1 << 2,
  REQ_ONE: 1 << 3,
  FAST_ZERO: 1 << 4,
  PAYLOAD_LEN: 1 << 5,
} as const;

/** Flag of the last chunk of a structured reply. */
export const REPLY_DONE = 1;

export const CHUNK = {
  NONE: 0,
  OFFSET_DATA: 1,
  BLOCK_STATUS: 5,
  BLOCK_STATUS_EXT: 6,
  ERROR: 0x8001,
  ERROR_OFFSET: 0x8002,
} as const;

/** Error values of replies. */
export const ERROR = {
  EPERM: 1,
  EIO: 5,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESHUTDOWN: 108,
} as const;

/** The only metadata context there is, and the number it has on every connection. */
export const ALLOCATION_CONTEXT = 'base:allocation';
export const ALLOCATION_ID = 1;

/** Status flags of base:allocation. */
export const STATE_HOLE = 1;
export const STATE_ZERO = 2;

/** Strings on the wire are no longer than this, in bytes. */
export const STRING_BYTES_MAX = 4096;

/** Largest payload of a request or reply: what the document asks of a server that says nothing. */
export const PAYLOAD_BYTES_MAX = 2 ** 25;

/** Reads that must be answered in one piece are served up to this length, 64 KiB being the least allowed. */
export const UNFRAGMENTED_BYTES_MAX = 256 * 1024;

export const BLOCK_BYTES_MIN = 1;
export const BLOCK_BYTES_PREFERRED = 4096;

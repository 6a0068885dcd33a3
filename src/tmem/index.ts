/** tmem: the core as the host uses it. */

export { ERROR_CODES, TmemError, type TmemErrorCode } from '../errors.ts';
export { Arenas } from './arenas.ts';
export { PAGE_BYTES } from './checks.ts';
export { OID_BYTES, Oid } from './oid.ts';
export type { PutOutcome } from './outcome.ts';
export { Pool } from './pool.ts';
export type { ExchangeResult, Handle, PoolCodec, PoolDescription, PoolKind } from './pool-types.ts';
export {
  decodeStored,
  type FoundRecord,
  type Look,
  orphansLost,
  RECORD_BYTES_MAX,
  RemotePages,
  type StoredCodec,
  type StoredPage,
  takeOrphans,
} from './remote-pages.ts';
export type { WalkCursor } from './walk.ts';

export { Arenas } from './arenas.ts';
export { ERROR_CODES, TmemError, type TmemErrorCode } from './errors.ts';
export { OID_BYTES, Oid } from './oid.ts';
export type { PutOutcome } from './outcome.ts';
export {
  type ExchangeResult,
  type Handle,
  PAGE_BYTES,
  Pool,
  type PoolDescription,
  type PoolKind,
} from './pool.ts';

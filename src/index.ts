/**
 * tmem: one compressed page store for all the memory of a process, shared by its threads, outside the JavaScript heap.
 *
 *   const store = open({ memory: '256 MiB' });
 *   const pool = store.client('web').pool('pages', { kind: 'ephemeral' });
 *   pool.put(Oid.fromString('key'), 0, bytes);
 *   const length = pool.get(Oid.fromString('key'), 0, out);      // 0 = miss
 */

export {
  attach,
  type Client,
  type ClientOptions,
  type ClientStatistics,
  type ExchangeResult,
  type Handle,
  Oid,
  open,
  PAGE_BYTES,
  type Pool,
  type PoolKind,
  type PoolOptions,
  type PoolStatistics,
  type PutOutcome,
  prometheusText,
  type ShrinkResult,
  type Store,
  type StoreOptions,
  type StoreSettings,
  type StoreStatistics,
  type StoreToken,
  TmemError,
  type TmemErrorCode,
} from './zcache/index.ts';

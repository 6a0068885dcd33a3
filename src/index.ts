/**
 * tmem: one compressed page store for all the memory you have, shared by threads and processes, outside the JavaScript
 * heap.
 *
 *   const store = open({ memory: '256 MiB' });
 *   const pool = store.client('web').pool('pages', { kind: 'ephemeral' });
 *   pool.put(Oid.fromString('key'), 0, bytes);
 *   const length = pool.get(Oid.fromString('key'), 0, out);      // 0 = miss
 */

export {
  attach,
  type CheckReport,
  type Client,
  type ClientOptions,
  type ClientStatistics,
  checkStore,
  type ExchangeResult,
  type Handle,
  listStores,
  type NamedStore,
  Oid,
  open,
  PAGE_BYTES,
  type Pool,
  type PoolKind,
  type PoolOptions,
  type PoolStatistics,
  type PutOutcome,
  prometheusText,
  type RemoveOptions,
  type RestoreResult,
  removeStore,
  restoreStore,
  type SaveResult,
  type ShrinkResult,
  type Store,
  type StoreOptions,
  type StoreSettings,
  type StoreStatistics,
  type StoreToken,
  saveStore,
  TmemError,
  type TmemErrorCode,
} from './zcache/index.ts';

// Operations on pools, each done on the store and on the model and compared at once.

import { expect } from 'vitest';
import { type Client, Oid, type Pool, type PutOutcome, TmemError } from '../../src/index.ts';
import type { PoolModel } from './model.ts';
import { PAGE_BYTES } from './page-content.ts';
import { OIDS, type Operation, RANGE_FIRST_MAX } from './random-operations.ts';
import { recover, type SmallStore } from './small-store.ts';

const REFUSALS_ROOMY: readonly PutOutcome[] = ['compresses-poorly', 'frozen'];
const REFUSALS_TIGHT: readonly PutOutcome[] = [...REFUSALS_ROOMY, 'no-memory', 'over-cap'];

export interface Bench {
  readonly small: SmallStore;
  readonly client: Client;
  readonly models: PoolModel[];
  readonly tight: boolean;
  /** Makes a new pool like the one that was destroyed. */
  readonly reopen: (at: number) => PoolModel;
  frozen: boolean;
}

const out = new Uint8Array(PAGE_BYTES);

/** What became of a put of `page`, for the model. */
function putDone(
  bench: Bench,
  model: PoolModel,
  oid: Oid,
  index: number,
  page: Uint8Array,
  outcome: PutOutcome,
) {
  if (bench.tight) for (const other of bench.models) other.doubt();
  if (outcome === 'stored') {
    expect(bench.frozen, 'a frozen client stores nothing').toBe(false);
    model.set(oid, index, page);
    return;
  }
  expectRefusal(bench, outcome);
  model.delete(oid, index);
}

/** As a put, but what was refused changed nothing. */
function replaceDone(
  bench: Bench,
  model: PoolModel,
  oid: Oid,
  index: number,
  page: Uint8Array,
  outcome: PutOutcome,
) {
  if (outcome === 'stored') {
    putDone(bench, model, oid, index, page, outcome);
    return;
  }
  if (bench.tight) for (const other of bench.models) other.doubt();
  expectRefusal(bench, outcome);
}

function expectRefusal(bench: Bench, outcome: PutOutcome): void {
  expect(bench.tight ? REFUSALS_TIGHT : REFUSALS_ROOMY).toContain(outcome);
  if (bench.frozen) expect(outcome).toBe('frozen');
  else expect(outcome).not.toBe('frozen');
}

function seen(length: number): Uint8Array | undefined {
  return length > 0 ? out.subarray(0, length) : undefined;
}

function getDone(
  model: PoolModel,
  op: 'get' | 'getAndKeep' | 'getAndFree',
  oid: Oid,
  index: number,
  length: number,
) {
  model.found(oid, index, seen(length));
  if (op === 'getAndFree' || (op === 'get' && !model.keeps)) model.delete(oid, index);
}

function writeAt(
  bench: Bench,
  model: PoolModel,
  oid: Oid,
  index: number,
  at: number,
  bytes: Uint8Array,
): void {
  const part = bytes.subarray(0, PAGE_BYTES - at);
  const before = model.at(oid, index);
  if (part.length === 0) {
    expectCode('TMEM_ERR_PAGE_LENGTH', () => model.pool.writeAt(oid, index, at, part));
    return;
  }
  if (bench.tight) for (const other of bench.models) other.doubt();
  const outcome = model.pool.writeAt(oid, index, at, part);
  if (outcome === 'miss') {
    model.found(oid, index, undefined);
    return;
  }
  expect(before, 'writes only into a page that is there').toBeDefined();
  if (outcome !== 'stored') {
    expectRefusal(bench, outcome);
    return;
  }
  const page = new Uint8Array(Math.max(before!.bytes.length, at + part.length));
  page.set(before!.bytes);
  page.set(part, at);
  model.set(oid, index, page);
}

export function expectCode(code: string, call: () => unknown): TmemError {
  let thrown: unknown;
  try {
    call();
  } catch (error) {
    thrown = error;
  }
  expect(thrown, `throws ${code}`).toBeInstanceOf(TmemError);
  const error = thrown as TmemError;
  expect(error.code, error.message).toBe(code);
  return error;
}

function getShort(model: PoolModel, oid: Oid, index: number, room: number): void {
  const entry = model.at(oid, index);
  const short = out.subarray(0, room);
  let length: number;
  try {
    length = model.pool.get(oid, index, short);
  } catch (error) {
    expect((error as TmemError).code).toBe('TMEM_ERR_PAGE_LENGTH');
    expect(entry?.bytes.length ?? 0).toBeGreaterThan(room);
    return;
  }
  expect(length).toBeLessThanOrEqual(room);
  getDone(model, 'get', oid, index, length);
}

function rangeBuffer({ small }: Bench, op: { by: string; pages: number }): Uint8Array {
  const bytes = op.pages * PAGE_BYTES;
  return op.by === 'staging' ? small.store.staging.subarray(0, bytes) : new Uint8Array(bytes);
}

function pagesOf(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: bytes.length / PAGE_BYTES }, (_, i) =>
    bytes.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES),
  );
}

function putRange(bench: Bench, model: PoolModel, op: Operation & { op: 'putRange' }): void {
  const { oid, pages } = op;
  const first = Math.min(op.index, RANGE_FIRST_MAX);
  const bytes = rangeBuffer(bench, op).fill(0);
  for (let i = 0; i < pages; i++) bytes.set(op.content[i]!, i * PAGE_BYTES);
  let given = pagesOf(Uint8Array.from(bytes));
  let outcomes: PutOutcome[] = [];
  if (op.by === 'list') {
    given = op.content.slice(0, pages);
    outcomes = model.pool.putMany(
      given.map((_, i) => ({ oid, index: first + i })),
      given,
    );
  } else {
    const stored = model.pool.putRange(oid, first, bytes, outcomes);
    expect(stored).toBe(outcomes.filter((outcome) => outcome === 'stored').length);
  }
  expect(outcomes.length).toBe(pages);
  for (const [i, outcome] of outcomes.entries()) putDone(bench, model, oid, first + i, given[i]!, outcome);
}

function getRange(bench: Bench, model: PoolModel, op: Operation & { op: 'getRange' }): void {
  const { oid, pages, by } = op;
  const first = Math.min(op.index, RANGE_FIRST_MAX);
  const target = rangeBuffer(bench, op);
  const keep = op.keep && by !== 'list';
  let lengths: number[] = [];
  if (by === 'list') {
    lengths = model.pool.getMany(
      Array.from({ length: pages }, (_, i) => ({ oid, index: first + i })),
      pagesOf(target),
    );
  } else {
    const found = model.pool[keep ? 'getRangeAndKeep' : 'getRange'](oid, first, target, lengths);
    expect(found).toBe(lengths.filter((length) => length > 0).length);
  }
  expect(lengths.length).toBe(pages);
  for (const [i, page] of pagesOf(target).entries()) {
    out.set(page);
    getDone(model, keep ? 'getAndKeep' : 'get', oid, first + i, lengths[i]!);
  }
}

function readAt(model: PoolModel, oid: Oid, index: number, at: number, room: number): void {
  const entry = model.at(oid, index);
  const bytes = model.pool.readAt(oid, index, at, out.subarray(0, room));
  if (bytes < 0) {
    expect(bytes).toBe(-1);
    model.found(oid, index, undefined);
    return;
  }
  expect(entry).toBeDefined();
  const part = entry!.bytes.subarray(at, at + room);
  expect(bytes).toBe(part.length);
  expect(Buffer.compare(out.subarray(0, bytes), part)).toBe(0);
}

function exchange(bench: Bench, model: PoolModel, oid: Oid, index: number, page: Uint8Array): void {
  if (bench.tight) for (const other of bench.models) other.doubt();
  const { length, outcome } = model.pool.exchange(oid, index, page, out);
  model.found(oid, index, seen(length));
  putDone(bench, model, oid, index, page, outcome);
}

function ofPool(
  bench: Bench,
  model: PoolModel,
  op: Operation & { pool: number; oid: Oid; index: number },
): void {
  const { pool } = model;
  const { oid, index } = op;
  switch (op.op) {
    case 'put':
      putDone(bench, model, oid, index, op.page, pool.put(oid, index, op.page));
      break;
    case 'replace':
      replaceDone(bench, model, oid, index, op.page, pool.replace(oid, index, op.page));
      break;
    case 'get':
    case 'getAndKeep':
    case 'getAndFree':
      getDone(model, op.op, oid, index, pool[op.op](oid, index, out));
      break;
    case 'getShort':
      getShort(model, oid, index, op.room);
      break;
    case 'readAt':
      readAt(model, oid, index, op.offset, op.room);
      break;
    case 'writeAt':
      writeAt(bench, model, oid, index, op.offset, op.page);
      break;
    case 'exchange':
      exchange(bench, model, oid, index, op.page);
      break;
    case 'flushPage': {
      const entry = model.at(oid, index);
      const found = pool.flushPage(oid, index);
      if (found) expect(entry).toBeDefined();
      else expect(entry?.certain ?? false).toBe(false);
      model.delete(oid, index);
      break;
    }
    case 'flushObject':
      model.counted(pool.flushObject(oid), model.keys(oid));
      model.clear(model.keys(oid));
      break;
    case 'flush':
      model.counted(pool.flush(), model.keys());
      model.clear(model.keys());
      break;
    case 'putRange':
      putRange(bench, model, op);
      break;
    case 'getRange':
      getRange(bench, model, op);
      break;
    case 'setCodec':
      if (pool.pam === (op.codec === 'none' ? 'zbud' : 'raw')) {
        expectCode('TMEM_ERR_SETTING', () => pool.setCodec(op.codec));
      } else {
        pool.setCodec(op.codec);
      }
      break;
    case 'walk':
      model.checkWalk();
      break;
    case 'destroy':
      destroy(bench, pool, model);
      break;
  }
}

function destroy(bench: Bench, pool: Pool, model: PoolModel): void {
  pool.destroy();
  expectCode('TMEM_ERR_POOL_GONE', () => pool.get(OIDS[0]!, 0, out));
  bench.models[bench.models.indexOf(model)] = bench.reopen(bench.models.indexOf(model));
}

/** Does one operation and compares. */
export function perform(bench: Bench, op: Operation): void {
  const { small, models, client } = bench;
  if (op.op === 'freeze') {
    const target = op.store ? small.store : client;
    if (bench.frozen) {
      small.store.thaw();
      client.thaw();
    } else {
      target.freeze();
    }
    bench.frozen = !bench.frozen;
  } else if (op.op === 'shrink') {
    const before = small.store.stats().store.frames_free;
    const { freed, remaining } = small.store.shrink(op.frames);
    expect(freed + remaining).toBeGreaterThanOrEqual(op.frames);
    expect(small.store.stats().store.frames_free).toBeGreaterThanOrEqual(before + freed);
    if (op.frames > 0) for (const model of models) model.doubt();
  } else if (op.op === 'recover') {
    recover(small);
  } else {
    ofPool(bench, models[op.pool % models.length]!, op);
  }
}

/** Every page the model knows is there, by get and by walk. */
export function checkAll(bench: Bench): void {
  for (const model of bench.models) {
    model.checkWalk();
    for (const key of model.keys()) {
      const [hex, index] = key.split('/') as [string, string];
      const oid = Oid.fromBytes(Buffer.from(hex, 'hex'));
      const length = model.pool.getAndKeep(oid, Number(index), out);
      model.found(oid, Number(index), seen(length));
    }
  }
}

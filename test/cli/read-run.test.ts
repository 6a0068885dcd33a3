import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { firstPass } from '../../src/cli/read/checksums.ts';
import { makePlan, pagesOf } from '../../src/cli/read/plan.ts';
import { run } from '../../src/cli/read/run.ts';
import { Sequence } from '../../src/cli/read/sequence.ts';
import type { WorkerTask } from '../../src/cli/read/worker.ts';
import { Scratch } from './scratch.ts';

const scratch = new Scratch();
afterAll(() => scratch[Symbol.dispose]());
const never = new AbortController().signal;

/** Two threads reading a small tree through the LRU; `meddle` happens between the first pass and the run. */
async function job(name: string, more: Partial<WorkerTask>, meddle: (root: string) => void = () => {}) {
  const root = join(scratch.path, name);
  for (let i = 0; i < 6; i++) scratch.file(`${name}/file ${i}`, 40_000 + i);
  const plan = await makePlan([root]);
  const { sums } = await firstPass(plan, () => {});
  meddle(root);
  const contender = { kind: 'lru' as const, bytesMax: 64 * 1024 };
  const tasks = [0, 1].map((thread) => ({
    ...{ plan, sums, seed: 1, skew: 0.9, thread, threads: 2 },
    ...{ operationsMax: 300, durationMaxMs: Number.POSITIVE_INFINITY, contender, ...more },
  }));
  return { tasks, root };
}

test('every operation is done, every byte verified, and hits and misses add up', async () => {
  const { tasks } = await job('clean', {});
  const { tally, operations, failures } = await run(tasks, () => {}, never);
  expect(operations).toEqual([300, 300]);
  expect(failures).toEqual([]);
  expect(tally).toMatchObject({ operations: 600, wrong: 0, failed: 0, changed: 0, compressedPages: 0 });
  expect(tally.verifiedBytes).toBe(tally.bytes);
  expect(tally.hotPages).toBeGreaterThan(0);
  expect(tally.sourcePages).toBeGreaterThan(0);
  const sequences = tasks.map(({ plan, seed, thread, skew }) => new Sequence(plan, seed, thread, skew));
  const asked = sequences.flatMap((sequence) => Array.from({ length: 300 }, () => sequence.next().length));
  expect(tally.bytes).toBe(asked.reduce((sum, length) => sum + length, 0));
  expect(tally.hotPages + tally.sourcePages).toBe(asked.reduce((sum, length) => sum + pagesOf(length), 0));
});

test('a file that vanishes is reported by name, and the others are still read', async () => {
  const { tasks, root } = await job('vanish', {}, (path) => rmSync(join(path, 'file 2')));
  const { tally, failures } = await run(tasks, () => {}, never);
  expect(failures).toEqual([{ path: join(root, 'file 2'), reason: 'ENOENT' }]);
  expect(tally.failed).toBeGreaterThan(0);
  expect(tally.wrong).toBe(0);
  expect(tally.operations).toBe(600);
});

test('a file that changed after the first pass is noticed and held against no one', async () => {
  const { tasks } = await job('change', {}, (path) =>
    writeFileSync(join(path, 'file 3'), Buffer.alloc(40_003, 1)),
  );
  const { tally } = await run(tasks, () => {}, never);
  expect(tally.changed).toBeGreaterThan(0);
  expect(tally.wrong).toBe(0);
  expect(tally.verifiedBytes).toBe(tally.bytes);
});

test('a page whose sum differs is never passed over: the file itself is asked', async () => {
  const { tasks } = await job('wrong', {});
  tasks[0].sums.fill(0);
  const { tally } = await run(tasks, () => {}, never);
  // The files themselves confirm what was read: this is what a change looks like.
  expect(tally.changed).toBe(600);
});

test('a run can be stopped, and its threads end', async () => {
  const { tasks } = await job('stop', { operationsMax: Number.POSITIVE_INFINITY });
  const stop = new AbortController();
  const running = run(tasks, () => stop.abort(new Error('stopped by the test')), stop.signal);
  await expect(running).rejects.toThrow('stopped by the test');
});

test('a thread that cannot begin ends the run with its error', async () => {
  const { tasks } = await job('broken', {});
  const broken = { ...tasks[1], plan: { ...tasks[1].plan, files: [] } };
  await expect(run([tasks[0], broken], () => {}, never)).rejects.toThrow();
});

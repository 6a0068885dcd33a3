import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { type StatOptions, stat } from '../../src/cli/stat/command.ts';
import type { Output } from '../../src/cli/terminal.ts';
import type { NamedStore } from '../../src/zcache/index.ts';
import { BUSY, statistics, storeFile } from './snapshots.ts';

const DIRECTORY = '/dev/shm';
const ONCE: StatOptions = { directory: DIRECTORY, json: false, prometheus: false, watch: undefined };
/** The shortest wait there is: these tests look at pictures, not at time. */
const WATCHED = { ...ONCE, watch: 0.001 };

/** A world with made-up stores. `onWrite` sees every write; `files` may change meanwhile. */
function world(files: NamedStore[], out: Partial<Output> = {}, env: Record<string, string> = {}) {
  const written: string[] = [];
  const attached: string[] = [];
  const stop = new AbortController();
  let ms = 0;
  let onWrite = () => {};
  const never = () => {
    throw new Error('this command has no business here');
  };
  const stores = {
    list: () => files,
    attach: (name: string) => {
      attached.push(name);
      return {
        stats: () => statistics(BUSY),
        close: () => attached.splice(attached.indexOf(name), 1),
        freeze: never,
        thaw: never,
      };
    },
    remove: never,
    check: never,
  };
  const write = async (text: string) => {
    written.push(text);
    onWrite();
  };
  const clock = { wallMs: () => storeFile().createdMs + 60_000, steadyMs: () => (ms += 1000) };
  return {
    ...{ written, attached, stop },
    whenWritten: (count: number, act: () => void) => {
      onWrite = () => {
        if (written.length === count) act();
      };
    },
    run: (name: string | undefined, options: StatOptions) =>
      stat(name, options, { stores, out: { write: never, ...out }, env, write, clock }, stop.signal),
  };
}

const other = storeFile({ name: 'other', path: '/dev/shm/tmem.other.v1' });

describe('tmem stat', () => {
  test('shows the only store there is, once, and leaves it', async () => {
    const { run, written, attached } = world([storeFile()]);
    expect(await run(undefined, ONCE)).toBe(0);
    expect(written).toHaveLength(1);
    expect(written[0]).toMatch(/^web {2}256 MiB in \/dev\/shm/);
    expect(written[0]).not.toContain('\u001b');
    expect(attached).toEqual([]);
  });

  test('lists the stores where there are several, and tells to name one', async () => {
    const { run, written, attached } = world([storeFile(), other]);
    await expect(run(undefined, ONCE)).rejects.toThrow(
      'there are 2 stores in /dev/shm, name one: web, other',
    );
    expect(written.join('')).toMatch(/^name .*\nweb .*\nother .*\n$/);
    expect(attached).toEqual([]);
  });

  test('prints no list where a program reads', async () => {
    const { run, written } = world([storeFile(), other]);
    await expect(run(undefined, { ...ONCE, json: true })).rejects.toThrow(/name one/);
    await expect(run(undefined, { ...ONCE, prometheus: true })).rejects.toThrow(/name one/);
    expect(written).toEqual([]);
  });

  test.each([
    [[], 'web', "there is no store 'web' in /dev/shm: none at all"],
    [[], undefined, 'there is no store in /dev/shm'],
    [[other], 'web', "there is no store 'web' in /dev/shm: only other"],
    [[storeFile({ state: 'damaged' })], 'web', /^store 'web' is damaged/],
    [[storeFile({ state: 'not-ours' })], undefined, /^store 'web' belongs to someone else/],
  ])('says what there is instead: %#', async (files, name, message) => {
    const { run, written } = world(files);
    await expect(run(name, ONCE)).rejects.toThrow(message);
    expect(written).toEqual([]);
  });

  test('takes the store of its own layout where there is one of another as well', async () => {
    const older = storeFile({ state: 'other-layout', path: '/dev/shm/tmem.web.v0' });
    const { run, written } = world([older, storeFile()]);
    expect(await run('web', ONCE)).toBe(0);
    expect(written).toHaveLength(1);
  });

  test('prints an object, and when watching one a line', async () => {
    const { run, written, whenWritten, stop, attached } = world([storeFile()]);
    whenWritten(3, () => stop.abort());
    expect(await run('web', { ...WATCHED, json: true })).toBe(0);
    expect(written).toHaveLength(3);
    for (const line of written) {
      expect(line.indexOf('\n')).toBe(line.length - 1);
      expect(JSON.parse(line)).toEqual({
        ...{ name: 'web', path: '/dev/shm/tmem.web.v1', created_ms: 1e12, taken_ms: 1e12 + 60_000 },
        ...{ resident_bytes: 180 * 2 ** 20, threads: 64 },
        ...statistics(BUSY),
      });
    }
    expect(attached).toEqual([]);
  });

  test('prints Prometheus text', async () => {
    const { run, written } = world([storeFile()]);
    expect(await run('web', { ...ONCE, prometheus: true })).toBe(0);
    expect(written[0]).toMatch(/^tmem_store_memory_bytes 268435456$/m);
  });

  test('redraws a terminal from its top, each line over the old one, and erases only what is left', async () => {
    const out = { isTTY: true, columns: 100, rows: 40 };
    const { run, written, whenWritten, stop } = world([storeFile()], out);
    whenWritten(3, () => stop.abort());
    await run('web', WATCHED);
    const [first, ...others] = written;
    expect(first.startsWith(`${'\n'.repeat(39)}\u001b[H`)).toBe(true);
    for (const text of [first.slice(39), ...others]) {
      expect(text.startsWith('\u001b[H')).toBe(true);
      expect(text.endsWith('\u001b[K\n\u001b[J')).toBe(true);
      expect(text.split('\n').length - 1).toBeLessThan(out.rows);
      expect(text).not.toContain('\u001b[2J');
      for (const line of text.split('\n').slice(0, -1)) {
        expect(line.endsWith('\u001b[K')).toBe(true);
        expect(stripVTControlCharacters(line).length).toBeLessThan(out.columns);
      }
    }
    expect(first).toMatch(/-\/s/);
    expect(others[0]).toMatch(/ 0\/s/);
  });

  test('has colours on a terminal only, and not if NO_COLOR asks for none', async () => {
    const color = '\u001b[36m';
    const shown = async (out: Partial<Output>, env: Record<string, string>) => {
      const { run, written } = world([storeFile()], out, env);
      await run('web', ONCE);
      return written.join('').includes(color);
    };
    expect(await shown({ isTTY: true }, {})).toBe(true);
    expect(await shown({ isTTY: true }, { NO_COLOR: '1' })).toBe(false);
    expect(await shown({ isTTY: true }, { TERM: 'dumb' })).toBe(false);
    expect(await shown({}, {})).toBe(false);
  });

  test('writes one picture after the other where there is no terminal', async () => {
    const { run, written, whenWritten, stop } = world([storeFile()]);
    whenWritten(2, () => stop.abort());
    await run('web', WATCHED);
    expect(written[1]).toMatch(/^\nweb /);
    expect(written.join('')).not.toContain('\u001b');
  });

  test('ends and leaves the store when it is interrupted while it waits', async () => {
    const { run, whenWritten, stop, attached } = world([storeFile()]);
    whenWritten(1, () => setImmediate(() => stop.abort()));
    await expect(run('web', { ...WATCHED, watch: 3600 })).rejects.toThrow(/aborted/);
    expect(attached).toEqual([]);
  });

  test.each([
    ['gone', [] as NamedStore[]],
    ['another one', [storeFile({ createdMs: 2e12 })]],
  ])('ends with a failure when the store is %s', async (_, later) => {
    const files = [storeFile()];
    const { run, whenWritten, attached } = world(files);
    whenWritten(1, () => files.splice(0, 1, ...later));
    await expect(run('web', WATCHED)).rejects.toThrow("store 'web' was removed");
    expect(attached).toEqual([]);
  });
});

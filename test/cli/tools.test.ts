// The commands about named stores, run as a user runs them, on stores that other processes use meanwhile.
import { type ChildProcess, type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { listStores, Oid, open, removeStore, type Store } from '../../src/zcache/index.ts';

const pathOf = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const MAIN = pathOf('../../src/cli/main.ts');
const USER = pathOf('./store-user.ts');

/** What a pipe takes before its writer has to wait: somewhat less than the most, as pages are not filled to the end. */
const PIPE_BYTES_MIN = 60_000;
const PIPE_BYTES_MAX = 65_536;

/** A directory of its own: the stores of others are none of our business. */
const directory = mkdtempSync('/dev/shm/tmem-tools-');
const children: ChildProcess[] = [];
const stores: Store[] = [];

afterEach(async () => {
  for (const store of stores.splice(0)) store.close();
  for (const child of children.splice(0)) await ended(child);
  for (const { name } of listStores(directory)) removeStore(name, { directory, force: true });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

const environment = { ...process.env, NO_COLOR: '1' };

function tmem(...args: string[]): SpawnSyncReturns<string> {
  const [command, ...more] = args;
  return spawnSync(process.execPath, [MAIN, command, ...more, '--directory', directory], {
    encoding: 'utf8',
    env: environment,
  });
}

function started(file: string, ...args: string[]): ChildProcess {
  const child = spawn(process.execPath, [file, ...args], { env: environment, stdio: 'pipe' });
  children.push(child);
  return child;
}

/** The user of a store ends in order, its slot is free. */
async function finished(user: ChildProcess): Promise<void> {
  user.stdin?.end();
  const [code] = await once(user, 'exit');
  expect(code).toBe(0);
}

async function* linesOf(child: ChildProcess): AsyncGenerator<string> {
  if (child.stdout !== null) yield* createInterface({ input: child.stdout });
}

async function nextLine(lines: AsyncGenerator<string>): Promise<string> {
  const { value, done } = await lines.next();
  if (done) throw new Error('the output ended early');
  return value;
}

const uniqueName = () => `tools-${randomUUID().slice(0, 8)}`;

/** A new store with 100 pages, attached by this thread too. */
function filled(name = uniqueName()) {
  const store = open({ name, directory, memory: '16 MiB' });
  stores.push(store);
  const pool = store.client('web').pool('pages', { kind: 'persistent' });
  for (let index = 0; index < 100; index++)
    pool.put(Oid.fromNumbers(1), index, Buffer.alloc(4096, `page ${index} `));
  return { name, store, pool };
}

/** Closes it here, so that nobody is attached. */
function left(name = uniqueName()): string {
  filled(name).store.close();
  return name;
}

function removed(name: string): void {
  expect(tmem('rm', name, '--force').status).toBe(0);
}

describe('tmem ls', () => {
  test('lists what is there, and who is attached', () => {
    expect(tmem('ls')).toMatchObject({ status: 0, stdout: `no stores in ${directory}\n`, stderr: '' });
    const { name } = filled();
    const { status, stdout, stderr } = tmem('ls');
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(new RegExp(`^name .*\\n${name} +ready +16 MiB .* 1 of \\d+ .* ago\\n$`));
    const { directory: where, stores: listed } = JSON.parse(tmem('ls', '--json').stdout);
    expect(where).toBe(directory);
    expect(listed).toEqual(listStores(directory));
    expect(listed).toMatchObject([{ name, state: 'ready', memoryBytes: 2 ** 24, attached: 1 }]);
    removed(name);
    expect(tmem('ls').stdout).toMatch(/^no stores/);
  });

  test('of a directory that is none fails in one line', () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [MAIN, 'ls', '--directory', `${directory}/missing`],
      { encoding: 'utf8' },
    );
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^tmem ls: .*missing.*\n$/);
  });
});

describe('tmem stat', () => {
  test('shows the counters of all processes, as each of them sees them', async () => {
    const { name, store } = filled();
    const user = started(USER, name, directory);
    await nextLine(linesOf(user));
    const { status, stdout, stderr } = tmem('stat', name, '--json');
    expect([status, stderr]).toEqual([0, '']);
    const seen = JSON.parse(stdout);
    expect(seen).toMatchObject({ name, memory_bytes: 2 ** 24, frozen: false });
    expect(seen.clients.map((client: { name: string }) => client.name).sort()).toEqual(['user', 'web']);
    expect(seen.clients.find((client: { name: string }) => client.name === 'web')).toMatchObject({
      traffic: { puts: 100, put_stored: 100 },
      content: { curr_pages: 100 },
    });
    // This thread, the other process, and the command itself.
    expect(seen.store.threads_attached).toBe(3);
    expect(seen.resident_bytes).toBeGreaterThan(0);
    await finished(user);
    const before = store.stats();
    expect(before.traffic.puts).toBeGreaterThanOrEqual(seen.traffic.puts);
    const { stdout: again } = tmem('stat', name, '--json');
    expect(JSON.parse(again).clients).toEqual(JSON.parse(JSON.stringify(before.clients)));
  });

  test('takes the only store there is, and asks to choose among several', () => {
    const first = left();
    expect(tmem('stat')).toMatchObject({ status: 0, stderr: '' });
    expect(tmem('stat').stdout.startsWith(`${first}  16 MiB in ${directory}`)).toBe(true);
    const second = left();
    const { status, stdout, stderr } = tmem('stat');
    expect(status).toBe(1);
    for (const name of [first, second]) expect(stdout).toMatch(new RegExp(`^${name} +ready`, 'm'));
    expect(stderr).toMatch(/^tmem stat: there are 2 stores in .*, name one: .*\n$/);
  });

  test('prints Prometheus text with the numbers of the store', () => {
    const { name } = filled();
    const { status, stdout } = tmem('stat', name, '--prometheus');
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^tmem_pool_put_stored_total\{client="web",pool="pages",kind="persistent"\} 100$/m,
    );
  });

  test.each(['SIGINT', 'SIGTERM'] as const)(
    'that watches ends in order on %s and leaves the store',
    async (signal) => {
      const { name, store } = filled();
      const child = started(MAIN, 'stat', name, '--watch', '0.1', '--json', '--directory', directory);
      const lines = linesOf(child);
      for (let i = 0; i < 3; i++) expect(JSON.parse(await nextLine(lines))).toMatchObject({ name });
      child.kill(signal);
      const [code] = await once(child, 'exit');
      expect(code).toBe(0);
      expect(store.stats().store).toMatchObject({ threads_attached: 1, threads_recovered: 0 });
    },
  );

  test('that watches ends in order when nobody reads any more', async () => {
    const { name, store } = filled();
    const child = started(MAIN, 'stat', name, '--watch', '0.1', '--directory', directory);
    await nextLine(linesOf(child));
    child.stdout?.destroy();
    let stderr = '';
    child.stderr?.on('data', (text) => {
      stderr += text;
    });
    const [code] = await once(child, 'exit');
    expect([code, stderr]).toEqual([0, '']);
    expect(store.stats().store).toMatchObject({ threads_attached: 1, threads_recovered: 0 });
  });

  test('that watches ends in order when its reader has stopped reading', async () => {
    const { name, store } = filled();
    // So many that the first object is more than a pipe takes.
    for (let i = 0; i < 50; i++) store.client(`client ${i}`);
    expect(tmem('stat', name, '--json').stdout.length).toBeGreaterThan(PIPE_BYTES_MAX);
    const fifo = join(directory, 'fifo');
    expect(spawnSync('mkfifo', [fifo]).status).toBe(0);
    const unread = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
    try {
      const child = spawn(
        process.execPath,
        [MAIN, 'stat', name, '--watch', '0.1', '--json', '--directory', directory],
        { env: environment, stdio: ['ignore', unread, 'inherit'] },
      );
      children.push(child);
      const written = () =>
        Number(/^wchar: (\d+)$/m.exec(readFileSync(`/proc/${child.pid}/io`, 'utf8'))?.[1]);
      while (written() < PIPE_BYTES_MIN) await setTimeout(50);
      child.kill('SIGTERM');
      const [code] = await once(child, 'exit');
      expect(code).toBe(0);
      expect(store.stats().store).toMatchObject({ threads_attached: 1, threads_recovered: 0 });
    } finally {
      closeSync(unread);
    }
  });

  test('that watches says so when its store is removed', async () => {
    const name = left();
    const child = started(MAIN, 'stat', name, '--watch', '0.1', '--json', '--directory', directory);
    await nextLine(linesOf(child));
    removed(name);
    let stderr = '';
    child.stderr?.on('data', (text) => {
      stderr += text;
    });
    child.stdout?.resume();
    const [code] = await once(child, 'close');
    expect([code, stderr]).toEqual([1, `tmem stat: store '${name}' was removed\n`]);
  });
});

describe('tmem freeze and thaw', () => {
  test('make all processes refuse puts, and accept them again', () => {
    const { name, store, pool } = filled();
    const page = Buffer.alloc(4096, 7);
    expect(tmem('freeze', name)).toMatchObject({
      status: 0,
      stderr: '',
      stdout: `${name} is frozen: puts are refused until tmem thaw ${name}\n`,
    });
    expect(store.stats().frozen).toBe(true);
    expect(pool.put(Oid.fromNumbers(2), 0, page)).toBe('frozen');
    expect(tmem('stat', name).stdout).toMatch(/frozen: puts are refused/);
    expect(tmem('thaw', name)).toMatchObject({ status: 0, stderr: '' });
    expect(pool.put(Oid.fromNumbers(2), 0, page)).toBe('stored');
  });
});

describe('tmem check', () => {
  test('finds a used store sound while another process works on it', async () => {
    const { name } = filled();
    const user = started(USER, name, directory);
    await nextLine(linesOf(user));
    const { status, stdout, stderr } = tmem('check', name);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(new RegExp(`^${name}: sound; `));
    await finished(user);
  });
});

describe('tmem rm', () => {
  test('refuses while someone is attached, unless forced', () => {
    const { name } = filled();
    const { status, stdout, stderr } = tmem('rm', name);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^tmem rm: .*\n$/);
    expect(listStores(directory)).toHaveLength(1);
    expect(tmem('rm', name, '--force')).toMatchObject({ status: 0, stdout: `removed ${name}\n`, stderr: '' });
    expect(listStores(directory)).toEqual([]);
  });

  test('removes a store nobody uses', () => {
    const name = left();
    expect(tmem('rm', name)).toMatchObject({ status: 0, stdout: `removed ${name}\n` });
  });
});

describe('every command', () => {
  test.each([
    ['stat', 'nobody'],
    ['check', 'nobody'],
    ['rm', 'nobody'],
    ['freeze', 'nobody'],
    ['thaw', 'nobody'],
    ['check', '../passwd'],
    ['rm', 'a/b'],
    ['check'],
    ['rm'],
    ['freeze'],
    ['stat', 'a', 'b'],
    ['stat', '--watch', 'web'],
    ['stat', '--watch', '0'],
    ['stat', '--json', '--prometheus'],
    ['stat', '--watch', '--prometheus'],
    ['ls', '--colour'],
  ])('fails in one line and changes nothing: %s', (command, ...args) => {
    const { status, stdout, stderr } = tmem(command, ...args);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(new RegExp(`^tmem ${command}: [^\\n]+\\n$`));
    expect(stderr).not.toMatch(/ at .*\.ts/);
  });

  test('fails in one line on a file that is cut short', () => {
    const name = left();
    const [{ path }] = listStores(directory);
    truncateSync(path, 4096);
    for (const command of ['stat', 'freeze']) {
      const { status, stderr } = tmem(command, name);
      expect(status).toBe(1);
      expect(stderr).toMatch(new RegExp(`^tmem ${command}: [^\\n]+\\n$`));
    }
    expect(tmem('ls').stdout).toMatch(new RegExp(`^${name} +damaged`, 'm'));
  });
});

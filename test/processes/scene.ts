// A scene of a test: named stores under names of its own, child processes and mounts; all of it is gone when the test
// ends, however it ends.

import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished, type TestContext } from 'vitest';
import { open, type Store, type StoreOptions } from '../../src/index.ts';
import { arenasOf } from '../../src/zcache/store.ts';
import type { SmallStore } from '../tmem/small-store.ts';
import type { Tools } from './tools.ts';

export const SHM = '/dev/shm';
/** Longest call in a child; what takes longer hangs. */
const CALL_TIMEOUT_MS = 30_000;
const POLL_MS = 5;
const LAYOUT_VERSION = 3;

const CHILD = new URL('./child.ts', import.meta.url);
/** Children start in a quarter of the time when the sources they load are compiled already. */
const COMPILED = decodeURIComponent(new URL('../../build/compiled', import.meta.url).pathname);

/** Ends a test, visibly, where its mounts and owners cannot be made. */
export function needsRoot({ skip }: TestContext): void {
  skip(process.geteuid?.() !== 0, 'needs root');
}

/** A new scene for the running test. */
export function newScene(): Scene {
  const scene = new Scene();
  onTestFinished(() => scene.end());
  return scene;
}

export class Scene {
  /** Name of the scene's store; further ones begin with it. */
  readonly name = `test-${process.pid}-${randomBytes(6).toString('hex')}`;
  directory = SHM;
  readonly #children: Child[] = [];
  readonly #stores: Store[] = [];
  readonly #mounts: string[] = [];
  readonly #directories: string[] = [];

  /** File of a store of this layout version. */
  path(name = this.name): string {
    return join(this.directory, `tmem.${name}.v${LAYOUT_VERSION}`);
  }

  /** Opens the scene's store in this process. */
  open(options: Partial<StoreOptions> = {}): Store {
    const store = open({ name: this.name, directory: this.directory, ...options });
    this.#stores.push(store);
    return store;
  }

  /** What others of the scene need to open its store. */
  get place(): { name: string; directory: string } {
    return { name: this.name, directory: this.directory };
  }

  async child(execArgv: readonly string[] = []): Promise<Child> {
    const child = new Child(execArgv);
    this.#children.push(child);
    await child.told('ready');
    return child;
  }

  children(count: number): Promise<Child[]> {
    return Promise.all(Array.from({ length: count }, () => this.child()));
  }

  /** A new directory in memory, on the file system of all. */
  subdirectory(): string {
    const path = mkdtempSync(join(SHM, `${this.name}-`));
    this.#directories.push(path);
    return path;
  }

  /** Mounts a tmpfs of its own and makes it the scene's directory. Needs root. */
  mount(...options: string[]): string {
    const path = this.subdirectory();
    execFileSync('mount', ['-t', 'tmpfs', '-o', options.join(','), 'tmpfs', path]);
    this.#mounts.push(path);
    this.directory = path;
    return path;
  }

  remount(...options: string[]): void {
    execFileSync('mount', ['-o', ['remount', ...options].join(','), this.directory]);
  }

  async end(): Promise<void> {
    for (const store of this.#stores) store.close();
    for (const child of this.#children) await child.kill();
    // Lazily: this process has the file mapped until the memory is collected.
    for (const path of this.#mounts) execFileSync('umount', ['-l', path]);
    for (const path of this.#mounts) rmdirSync(path);
    for (const path of this.#directories) rmSync(path, { recursive: true, force: true });
    for (const file of readdirSync(SHM)) {
      if (file.startsWith(`tmem.${this.name}`)) rmSync(join(SHM, file), { recursive: true, force: true });
    }
  }
}

/** An error that a call in a child ended with. */
export class ChildError extends Error {
  readonly code: string | undefined;

  constructor(message: string, code: string | undefined) {
    super(message);
    this.code = code;
  }
}

interface Answer {
  readonly id?: number;
  readonly value?: unknown;
  readonly error?: { message: string; code: string | undefined };
  readonly told?: string;
}

export class Child {
  readonly process: ChildProcess;
  readonly exit: Promise<{ code: number | null; signal: string | null }>;
  readonly #heard: string[] = [];
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #calls = 0;
  #ended: string | undefined;
  #errors = '';

  constructor(execArgv: readonly string[]) {
    const stdio: ('ignore' | 'pipe' | 'ipc')[] = ['ignore', 'ignore', 'pipe', 'ipc'];
    const env = { ...process.env, NODE_COMPILE_CACHE: COMPILED };
    this.process = fork(CHILD, { execArgv: [...execArgv], serialization: 'advanced', stdio, env });
    this.process.stderr?.on('data', (text) => {
      this.#errors += text;
    });
    this.process.on('message', (answer: Answer) => {
      if (answer.told !== undefined) this.#heard.push(answer.told);
      else this.#waiting.get(answer.id!)?.(answer);
    });
    this.exit = once(this.process, 'exit').then(([code, signal]) => {
      this.#ended = `the child ended with ${signal ?? code}: ${this.#errors}`;
      for (const settle of this.#waiting.values())
        settle({ error: { message: this.#ended, code: undefined } });
      return { code, signal };
    });
  }

  /** Runs a function in the child: it sees its arguments and nothing else of the test. */
  async run<Args extends unknown[], Result>(
    call: (tools: Tools, ...args: Args) => Result,
    ...args: Args
  ): Promise<Awaited<Result>> {
    if (this.#ended !== undefined) throw new ChildError(this.#ended, undefined);
    const id = ++this.#calls;
    const answer = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    const timer = setTimeout(() => {
      const message = `the call did not end: ${call}`;
      this.#waiting.get(id)?.({ error: { message, code: 'TIMEOUT' } });
    }, CALL_TIMEOUT_MS);
    this.process.send({ id, source: call.toString(), args });
    const { value, error } = await answer;
    clearTimeout(timer);
    this.#waiting.delete(id);
    if (error !== undefined) throw new ChildError(error.message, error.code);
    return value as Awaited<Result>;
  }

  /** Begins a call that is not expected to end: the child will be killed or stopped in it. */
  begin<Args extends unknown[]>(call: (tools: Tools, ...args: Args) => unknown, ...args: Args): void {
    this.process.send({ id: ++this.#calls, source: call.toString(), args });
  }

  /** Runs a function in which the child kills itself; fails when it returns or throws instead. */
  async dies<Args extends unknown[]>(
    call: (tools: Tools, ...args: Args) => unknown,
    ...args: Args
  ): Promise<void> {
    await this.run(call, ...args).then(
      () => {
        throw new Error('the child lived on');
      },
      (error: ChildError) => {
        if (this.process.signalCode !== 'SIGKILL') throw error;
      },
    );
  }

  /** Waits until the child said something (tools.tell). */
  async told(text: string): Promise<void> {
    await until(() => {
      if (this.#ended !== undefined) throw new Error(this.#ended);
      return this.#heard.includes(text);
    }, `the child says '${text}'`);
  }

  signal(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  /** Ends it in the middle of whatever it does; it is gone when this returns. */
  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.exit;
  }
}

/** Waits for something that comes by itself; fails when it does not. */
export async function until(
  isSo: () => boolean | Promise<boolean>,
  what: string,
  timeoutMs = CALL_TIMEOUT_MS,
): Promise<void> {
  for (const startMs = performance.now(); !(await isSo()); ) {
    if (performance.now() - startMs > timeoutMs) throw new Error(`waited in vain: ${what}`);
    await sleep(POLL_MS);
  }
}

/** A store as the accounting of test/tmem/small-store.ts takes it. */
export function accountable(store: Store): SmallStore {
  return { store, arenas: arenasOf(store).all, freshFrames: 0 };
}

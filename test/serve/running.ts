// The command `tmem serve` as a process of its own, for as long as a test runs.

import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { listStores, removeStore } from '../../src/zcache/index.ts';

export const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');

export function newFolder(): string {
  const folder = fs.mkdtempSync(join(tmpdir(), 'tmem-serve-'));
  onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A file of so many bytes, sparse. */
export function newFile(path: string, bytes: number): string {
  fs.writeFileSync(path, '');
  fs.truncateSync(path, bytes);
  return path;
}

/** A name that no other store has; whatever a test makes of it is gone after it. */
export function newStoreName(): string {
  const name = `serve-test-${randomBytes(6).toString('hex')}`;
  onTestFinished(() => {
    if (listStores().some((store) => store.name === name)) removeStore(name, { force: true });
  });
  return name;
}

/** The environment without what a test runner, a shell or systemd may have put there for others. */
export function cleanEnvironment(extra: Record<string, string> = {}): Record<string, string | undefined> {
  const strange = /^(TMEM_SERVE_|LISTEN_|NOTIFY_SOCKET|JOURNAL_STREAM)/;
  const own = Object.entries(process.env).filter(([name]) => !strange.test(name));
  return { ...Object.fromEntries(own), ...extra };
}

export class Running {
  readonly child: ChildProcess;
  log = '';
  #changed: () => void = () => {};
  readonly #exit: Promise<unknown[]>;

  constructor(child: ChildProcess) {
    this.child = child;
    this.#exit = once(child, 'close');
    void this.#exit.then(() => this.#changed());
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.log += text;
      this.#changed();
    });
    onTestFinished(async () => {
      if (this.#lives()) child.kill('SIGKILL');
      await this.#exit;
    });
  }

  /** Waits until the log has something like this; what it has. */
  async until(pattern: RegExp, from = 0): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.log.slice(from));
      if (found !== null) return found;
      if (!this.#lives()) throw new Error(`ended without ${pattern}:\n${this.log}`);
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  /** Waits for the end: exit status, or the signal that ended it. */
  async ended(): Promise<number | string> {
    const [code, signal] = await this.#exit;
    return (code ?? signal) as number | string;
  }

  /** Reloads, and waits until that is done; what the log says of it. */
  async reload(): Promise<string> {
    const from = this.log.length;
    this.child.kill('SIGHUP');
    await this.until(/reloaded: .*\n|nothing was changed: .*\n/, from);
    return this.log.slice(from);
  }

  async stop(): Promise<number | string> {
    this.child.kill('SIGTERM');
    return await this.ended();
  }

  #lives(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }
}

/** Starts `tmem serve`. */
export function start(args: readonly string[], environment: Record<string, string> = {}): Running {
  return spawned(process.execPath, [MAIN, 'serve', ...args], environment);
}

export function spawned(
  program: string,
  args: readonly string[],
  environment: Record<string, string> = {},
): Running {
  const stdio: StdioOptions = ['ignore', 'ignore', 'pipe'];
  return new Running(spawn(program, args, { env: cleanEnvironment(environment), stdio }));
}

/** Starts it with a settings file, and waits until it serves; with one thread if nothing else is said. */
export async function serving(
  settings: object,
  folder = newFolder(),
  sign = /serving .*\n/,
): Promise<Running & { file: string }> {
  const file = writeSettings({ threads: 0, ...settings }, folder);
  const running = start(['--config', file]);
  await running.until(sign);
  return Object.assign(running, { file });
}

export function writeSettings(settings: object, folder: string): string {
  const file = join(folder, 'settings.json');
  fs.writeFileSync(file, JSON.stringify(settings));
  return file;
}

// A nats-server of the machine, started and ended by a test.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'vitest';
import { needTool } from '../../nbd/tools.ts';

const START_MS = 30_000;
const POLL_MS = 20;

const sleep = (timeMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, timeMs));

// Debian has servers where not everybody looks for programs.
process.env.PATH = `${process.env.PATH}:/usr/sbin`;

export class NatsServer {
  readonly #program: string;
  readonly #args: readonly string[];
  readonly #folder: string;
  #child: ChildProcess | undefined;
  /** The one it has got at its first start; -1 before: any. */
  port = -1;

  /** Not started. Skips the test where there is none (needTool). */
  constructor(context: TestContext, ...args: string[]) {
    this.#program = needTool(context, 'nats-server');
    this.#args = args;
    this.#folder = fs.mkdtempSync(join(tmpdir(), 'tmem-nats-'));
    context.onTestFinished(async () => {
      await this.stop();
      fs.rmSync(this.#folder, { recursive: true, force: true });
    });
  }

  get url(): string {
    return `127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const where = ['--addr', '127.0.0.1', '--port', String(this.port), '--ports_file_dir', this.#folder];
    const child = spawn(this.#program, [...where, ...this.#args], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    process.once('exit', this.#kill);
    let log = '';
    child.stderr.on('data', (text) => {
      log += text;
    });
    const file = join(this.#folder, `nats-server_${child.pid}.ports`);
    for (let waitedMs = 0; ; waitedMs += POLL_MS) {
      const ports = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
      const port = /"[a-z]+:\/\/127\.0\.0\.1:(\d+)"/.exec(ports)?.[1];
      if (port !== undefined) {
        this.port = Number(port);
        return;
      }
      if (child.exitCode !== null || waitedMs > START_MS)
        throw new Error(`nats-server did not start: ${log}`);
      await sleep(POLL_MS);
    }
  }

  /** As a crash does. */
  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    process.off('exit', this.#kill);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  /** Stands still, as a machine without memory does; its connections stay. */
  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  readonly #kill = (): void => {
    this.#child?.kill('SIGKILL');
  };
}

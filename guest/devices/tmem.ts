// A tmem export: the one file that knows how the daemon is started, asked and ended.

import { join } from 'node:path';
import { Running } from '../machine/running.ts';
import { TemporaryFolder } from '../machine/temporary-folder.ts';
import { DEVICE_BYTES, type Device, nbdDisk, VIRTIO_NAME } from './device.ts';

const COMMAND = join(import.meta.dirname, '../../src/cli/main.ts');

/** A quarter of a gigabyte of memory for a device of twice that. */
const SWAP = ['--memory', '256 MiB', '--export', `swap=swap:${DEVICE_BYTES}`];

/** Which of the daemon's figures a comparison shows. */
const SHOWN = [
  ...['orig_data_size_bytes', 'compr_data_size_bytes', 'mem_used_max_bytes', 'same_pages', 'huge_pages'],
  ...['reads_total', 'writes_total', 'trims_total'],
];

export class TmemServer {
  readonly #running: Running;
  readonly #metrics: string;
  /** Where clients connect. */
  readonly uri: URL;

  private constructor(running: Running, uri: string, metrics: string) {
    this.#running = running;
    this.uri = new URL(uri);
    this.#metrics = metrics;
  }

  /** `listen`: unix:PATH or tcp://HOST:PORT; others are flags of the command. */
  static async start(listen: string, flags: readonly string[]): Promise<TmemServer> {
    const fixed = ['--listen', listen, '--http', '127.0.0.1:0'];
    const running = new Running(process.execPath, [COMMAND, 'serve', ...fixed, ...flags]);
    const [, metrics] = await running.until(() => /metrics and health: (\S+)\n/.exec(running.said));
    const [, uri] = await running.until(() => /serving \S+: (\S+)\n/.exec(running.said));
    return new TmemServer(running, uri!, `${metrics}/metrics`);
  }

  /** With one swap export, named `swap`. */
  static startSwap(listen: string): Promise<TmemServer> {
    return TmemServer.start(listen, SWAP);
  }

  /** Figures of its exports, by the names of `tmem_export_…`. */
  async stats(): Promise<Readonly<Record<string, number>>> {
    const text = await (await fetch(this.#metrics)).text();
    const lines = text.matchAll(/^tmem_export_(\w+)\{[^}]*\} (\S+)$/gm);
    return Object.fromEntries([...lines].map(([, name, value]) => [name, Number(value)]));
  }

  /** SIGKILL: what was not flushed is where it was. */
  kill(): Promise<void> {
    return this.#running.kill();
  }
}

export async function openTmem(): Promise<Device> {
  const folder = new TemporaryFolder();
  const path = folder.file('socket');
  const server = await TmemServer.startSwap(`unix:${path}`);
  return {
    qemu: nbdDisk(path, 'swap'),
    guestName: VIRTIO_NAME,
    stats: async () => {
      const stats = await server.stats();
      return Object.fromEntries(SHOWN.map((name) => [name, stats[name] ?? 0]));
    },
    [Symbol.asyncDispose]: async () => {
      await server.kill();
      folder[Symbol.dispose]();
    },
  };
}

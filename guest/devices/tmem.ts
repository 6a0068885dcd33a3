// A tmem export: the one file that knows how its server is started, asked and ended.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Helper } from '../../bench/support/helper.ts';
import type { AreaExportOptions, ExportStatistics } from '../../src/nbd/index.ts';
import type { StoreOptions } from '../../src/zcache/index.ts';
import { DEVICE_BYTES, type Device, nbdDisk, VIRTIO_NAME } from './device.ts';
import type { Serve } from './tmem-server.ts';

const STORE: StoreOptions = { memory: '256 MiB', incompressible: 'store' };

export class TmemServer {
  readonly #helper: Helper;
  /** Port on the loopback; 0 for a unix socket. */
  readonly port: number;

  private constructor(helper: Helper, port: number) {
    this.#helper = helper;
    this.port = port;
  }

  static async start(serve: Serve): Promise<TmemServer> {
    const helper = await Helper.start(new URL('./tmem-server.ts', import.meta.url));
    try {
      const bound = await helper.ask<{ port?: number }>(serve);
      return new TmemServer(helper, bound.port ?? 0);
    } catch (error) {
      await helper.kill();
      throw error;
    }
  }

  /** A server of a swap export named `swap`, on a TCP port that it chooses. */
  static startSwap(address: Serve['address']): Promise<TmemServer> {
    const swap: AreaExportOptions = { name: 'swap', kind: 'swap', size: DEVICE_BYTES };
    return TmemServer.start({ address, store: STORE, export: swap });
  }

  stats(): Promise<ExportStatistics> {
    return this.#helper.ask('stats');
  }

  /** SIGKILL: what was not flushed is where it was. */
  kill(): Promise<void> {
    return this.#helper.kill();
  }
}

export async function openTmem(): Promise<Device> {
  const folder = mkdtempSync(join(tmpdir(), 'guest-tmem-'));
  const path = join(folder, 'socket');
  const server = await TmemServer.startSwap({ path });
  return {
    qemu: nbdDisk(path, 'swap'),
    guestName: VIRTIO_NAME,
    stats: async () => {
      const { orig_data_size, compr_data_size, mem_used_max, same_pages, huge_pages, ...rest } =
        await server.stats();
      const { reads, writes, trims } = rest as unknown as Record<string, number>;
      return { orig_data_size, compr_data_size, mem_used_max, same_pages, huge_pages, reads, writes, trims };
    },
    [Symbol.asyncDispose]: async () => {
      await server.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

// No acknowledged write is read back differently, whatever the kind, the pressure, and the overlap of requests.
import fs from 'node:fs';
import { expect, test } from 'vitest';
import type { AreaExportOptions } from '../../src/nbd/index.ts';
import { newBench, newFile, newFolder } from './bench.ts';
import { Client } from './client.ts';
import { type RoundOptions, Rounds } from './rounds.ts';

const MiB = 2 ** 20;

async function clientsOf(path: string): Promise<Client[]> {
  const modes = ['simple', 'structured', 'extended', 'structured'] as const;
  return await Promise.all(modes.map((mode) => Client.open(path, 'one', mode)));
}

const kinds: Record<
  string,
  { bytes: number; options: Partial<AreaExportOptions>; rounds?: Partial<RoundOptions> }
> = {
  'ram with room': { bytes: 2 * MiB, options: { kind: 'ram' } },
  'ram that gets full': {
    bytes: 4 * MiB,
    options: { kind: 'ram', memoryMax: MiB },
    rounds: { mayBeFull: true },
  },
  'swap on a file, with little memory': { bytes: 4 * MiB, options: { kind: 'swap', memoryMax: MiB } },
  'a disk with room': { bytes: 2 * MiB, options: { kind: 'disk' } },
  'a disk with little memory': { bytes: 4 * MiB, options: { kind: 'disk', memoryMax: MiB } },
  'a disk written through': { bytes: 2 * MiB, options: { kind: 'disk', writethrough: true } },
  'a disk with little memory and a cache in front of its file': {
    bytes: 4 * MiB,
    options: { kind: 'disk', memoryMax: MiB, cache: true },
  },
  'a disk that ends within a page': { bytes: MiB + 512 * 3, options: { kind: 'disk', memoryMax: MiB / 2 } },
};

test.each(Object.keys(kinds))('%s', async (kind) => {
  const { bytes, options, rounds } = kinds[kind]!;
  const onFile = options.kind !== 'ram';
  const file = onFile ? newFile(newFolder(), bytes) : undefined;
  const bench = await newBench({ ...options, ...(file === undefined ? { size: bytes } : { file }) });
  const { swap } = bench.export;
  const clients = await clientsOf(bench.path);
  const meanwhile: RoundOptions['meanwhile'] = async (random) => {
    if (onFile && random(3) === 0) await swap.shrink(random(300));
  };
  for (const seed of [1, 2]) {
    const work = new Rounds(clients, bytes, { rounds: 60, width: 24, seed, meanwhile, ...rounds });
    if (seed > 1) {
      for (const client of clients) expect(await client.command(6, 0, bytes)).toBe(0);
    }
    await work.run();
    if (options.kind !== 'disk') continue;
    expect(await clients[1]!.command(3)).toBe(0);
    expect(fs.readFileSync(file!).equals(work.image())).toBe(true);
  }
  for (const client of clients) await client.close();
});

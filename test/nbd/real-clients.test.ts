// Tools of other people against the server: qemu-io, qemu-img, nbdinfo, nbdcopy, nbdsh, fio.
import { randomFillSync } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, type TestContext, test } from 'vitest';
import type { AreaExportOptions } from '../../src/nbd/index.ts';
import { type Bench, newBench, newFile, newFolder } from './bench.ts';
import { tool } from './tools.ts';

const MiB = 2 ** 20;
const uri = (path: string, name = 'one'): string => `nbd+unix:///${name}?socket=${path}`;

/** An image with noise, text, zeroes and holes. */
function newImage(folder: string, bytes: number): string {
  const path = newFile(folder, bytes);
  const fd = fs.openSync(path, 'r+');
  const piece = Buffer.alloc(256 * 1024);
  for (let at = 0; at < bytes; at += piece.length) {
    if (at % (5 * piece.length) === 0) continue; // a hole
    if (at % (3 * piece.length) === 0) randomFillSync(piece);
    else piece.fill(`page ${at} `);
    fs.writeSync(fd, piece, 0, piece.length, at);
  }
  fs.closeSync(fd);
  return path;
}

const SIZE = 16 * MiB;

/** The last two take in less than is written to them: what they refuse goes to their file. */
const KINDS: Readonly<Record<string, Partial<AreaExportOptions>>> = {
  ram: { kind: 'ram' },
  'a disk': { kind: 'disk' },
  'a disk with little memory': { kind: 'disk', memoryMax: MiB },
  'a disk with little memory and a cache': { kind: 'disk', memoryMax: MiB, cache: true },
};

interface KindBench extends Bench {
  readonly file: string | undefined;
  /** That it was under pressure, if it was to be; and that what was flushed is on its file. */
  check(image?: Buffer): void;
}

async function benchOf(kind: string): Promise<KindBench> {
  const options = KINDS[kind]!;
  const file = options.kind === 'disk' ? newFile(newFolder(), SIZE) : undefined;
  const backing = file === undefined ? { size: SIZE } : { file };
  const bench = await newBench({ ...options, ...backing }, { memory: '64 MiB' });
  const check = (image?: Buffer): void => {
    expect(bench.export.stats().refused_pages > 0).toBe(options.memoryMax !== undefined);
    if (file !== undefined && image !== undefined) expect(fs.readFileSync(file).equals(image)).toBe(true);
  };
  return { ...bench, file, check };
}

const qemuIo = async (context: TestContext, path: string, ...commands: string[]): Promise<string> =>
  tool(context, 'qemu-io', '-f', 'raw', uri(path), ...commands.flatMap((command) => ['-c', command]));

async function fio(context: TestContext, folder: string, ...args: string[]) {
  const output = await tool(
    context,
    'fio',
    '--ioengine=nbd',
    `--aux-path=${folder}`,
    '--output-format=json',
    ...args,
  );
  return JSON.parse(output.slice(output.indexOf('{'))).jobs as {
    readonly error: number;
    readonly read: { readonly total_ios: number };
    readonly trim: { readonly total_ios: number };
  }[];
}

describe.each(Object.keys(KINDS))('%s', (kind) => {
  test('qemu-io writes, verifies, zeroes, discards and flushes', async (context) => {
    const { path } = await benchOf(kind);
    const output = await qemuIo(
      context,
      path,
      'write -P 0xab 512 1M',
      'read -P 0xab 512 1M',
      'read -P 0 0 512',
      'write -f -P 0x11 1234 5000',
      'read -P 0x11 1234 5000',
      'write -z 4k 64k',
      'write -z -u 128k 64k',
      'read -P 0 4k 64k',
      'read -P 0 128k 64k',
      'read -P 0xab 72k 48k',
      'aio_write -P 0x77 8M 4M',
      'aio_write -P 0x78 12M 2M',
      'aio_flush',
      'read -P 0x77 8M 4M',
      'read -P 0x78 12M 2M',
      'discard 0 1M',
      'flush',
      'read -P 0 0 1M',
    );
    expect(output).not.toMatch(/failed|error/i);
  });

  test('qemu-img copies an image in and out, finds it equal, sees its holes, and loads it', async (context) => {
    const { path, folder, check } = await benchOf(kind);
    const image = newImage(folder, SIZE);
    await tool(context, 'qemu-img', 'convert', '-n', '-f', 'raw', '-O', 'raw', image, uri(path));
    check(fs.readFileSync(image));
    await tool(context, 'qemu-img', 'compare', '-f', 'raw', '-F', 'raw', image, uri(path));
    const map = JSON.parse(await tool(context, 'qemu-img', 'map', '--output=json', '-f', 'raw', uri(path)));
    expect(map.some(({ data }: { data: boolean }) => data)).toBe(true);
    expect(map.some(({ data, zero }: { data: boolean; zero: boolean }) => !data && zero)).toBe(true);
    const out = join(folder, 'out');
    await tool(context, 'qemu-img', 'convert', '-f', 'raw', '-O', 'raw', uri(path), out);
    expect(fs.readFileSync(out).equals(fs.readFileSync(image))).toBe(true);
    for (const flags of [[], ['-w'], ['-w', '--flush-interval=64']]) {
      await tool(context, 'qemu-img', 'bench', '-c', '1000', '-d', '32', '-f', 'raw', ...flags, uri(path));
    }
  });

  test('nbdcopy copies an image in and out over several connections', async (context) => {
    const { path, folder, check } = await benchOf(kind);
    const image = newImage(folder, SIZE);
    await tool(context, 'nbdcopy', '--flush', image, uri(path));
    check(fs.readFileSync(image));
    const out = join(folder, 'out');
    await tool(context, 'nbdcopy', uri(path), out);
    expect(fs.readFileSync(out).equals(fs.readFileSync(image))).toBe(true);
    const map = JSON.parse(await tool(context, 'nbdinfo', '--map', '--json', uri(path)));
    const states = new Set(map.map(({ description }: { description: string }) => description));
    expect(states).toEqual(new Set(['data', 'hole,zero']));
    expect(map.reduce((sum: number, { length }: { length: number }) => sum + length, 0)).toBe(SIZE);
  });

  test('fio verifies what several jobs wrote, with trims in between', async (context) => {
    const { path, folder, check } = await benchOf(kind);
    const jobs = await fio(
      context,
      folder,
      ...['--name=verify', `--uri=${uri(path)}`, '--rw=randwrite', '--bsrange=512-64k', '--bs_unaligned=0'],
      ...['--numjobs=3', '--size=5m', '--offset_increment=5m', '--iodepth=16', '--randrepeat=1'],
      ...['--verify=crc32c', '--verify_fatal=1', '--refill_buffers', '--buffer_compress_percentage=50'],
    );
    expect(jobs.map(({ error, read }) => [error, read.total_ios > 0])).toEqual(jobs.map(() => [0, true]));
    check();
    // One trims each block before it writes it; beside it another one only trims.
    const trims = await fio(
      context,
      folder,
      ...[`--uri=${uri(path)}`, '--iodepth=8', '--bs=4k', '--size=4m', '--randrepeat=1'],
      ...['--name=mixed', '--rw=trimwrite', '--verify=crc32c', '--verify_fatal=1'],
      ...['--name=trims', '--rw=randtrim', '--bs=64k', '--offset=8m'],
    );
    expect(trims.map(({ error, trim }) => [error, trim.total_ios > 0])).toEqual(trims.map(() => [0, true]));
  });
});

test('nbdinfo lists the exports and what they can do', async (context) => {
  const { path } = await newBench({ description: 'for tests' });
  const text = await tool(context, 'nbdinfo', '--json', '--list', uri(path, ''));
  const [found] = JSON.parse(text).exports;
  expect(found).toMatchObject({
    'export-name': 'one',
    description: 'for tests',
    'export-size': 8 * MiB,
    ...{ is_read_only: false, can_cache: true, can_df: true, can_fast_zero: true, can_flush: true },
    ...{ can_fua: true, can_multi_conn: true, can_trim: true, can_zero: true },
    ...{ block_size_minimum: 1, block_size_preferred: 4096, block_size_maximum: 32 * MiB },
    contexts: ['base:allocation'],
  });
});

test('nbdsh gets the errors of the protocol, and goes on after each', async (context) => {
  const { path } = await newBench();
  const script = `
import errno, nbd
def fails(name, call):
    try:
        call()
    except nbd.Error as error:
        assert error.errno == name, (name, error.errno)
    else:
        assert False, name
h.set_strict_mode(0)
size = h.get_size()
fails("EINVAL", lambda: h.pread(512, size))
fails("ENOSPC", lambda: h.pwrite(bytearray(512), size))
fails("ENOSPC", lambda: h.zero(512, size))
fails("EINVAL", lambda: h.trim(512, size))
fails("ENOTSUP", lambda: h.zero(4096, 0, nbd.CMD_FLAG_FAST_ZERO | nbd.CMD_FLAG_NO_HOLE))
h.pwrite(b"x" * 100000, 777, nbd.CMD_FLAG_FUA)
assert h.pread(100000, 777) == b"x" * 100000
assert h.pread(65536, 777, nbd.CMD_FLAG_DF) == b"x" * 65536
h.cache(4096, 0)
h.flush()
h.trim(size, 0)
assert h.pread(100000, 777) == bytearray(100000)
print("done")
`;
  const output = await tool(context, 'nbdsh', '-u', uri(path), '-c', script);
  expect(output.trim()).toBe('done');
});

test('qemu-io and nbdinfo over TLS with certificates', async (context) => {
  const certificates = join(import.meta.dirname, 'certificates');
  const pem = (name: string): Buffer => fs.readFileSync(join(certificates, `${name}.pem`));
  const tls = { cert: pem('server-cert'), key: pem('server-key'), ca: pem('ca-cert') };
  const { server } = await newBench({}, { tls });
  const { port } = (await server.listen({ port: 0 })) as { port: number };
  const size = await tool(
    context,
    'nbdinfo',
    '--size',
    `nbds://localhost:${port}/one?tls-certificates=${certificates}`,
  );
  expect(Number(size)).toBe(8 * MiB);
  const output = await tool(
    context,
    'qemu-io',
    ...['--object', `tls-creds-x509,id=t,dir=${certificates},endpoint=client`],
    ...['--image-opts', `driver=nbd,host=localhost,port=${port},export=one,tls-creds=t`],
    ...['-c', 'write -P 3 0 2M', '-c', 'read -P 3 0 2M'],
  );
  expect(output).not.toMatch(/failed|error/i);
});

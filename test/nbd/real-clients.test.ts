// Tools of other people against the server: qemu-io, qemu-img, nbdinfo, nbdcopy, nbdsh, fio.
import { randomFillSync } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { expect, type TestContext, test } from 'vitest';
import { newBench, newFile } from './bench.ts';
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

const qemuIo = async (context: TestContext, path: string, ...commands: string[]): Promise<string> =>
  tool(context, 'qemu-io', '-f', 'raw', uri(path), ...commands.flatMap((command) => ['-c', command]));

test('qemu-io writes, verifies, zeroes, discards and flushes', async (context) => {
  const { path } = await newBench();
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
    'discard 0 1M',
    'flush',
    'read -P 0 0 1M',
  );
  expect(output).not.toMatch(/failed|error/i);
});

test('qemu-img copies an image in and out, finds it equal, and sees its holes', async (context) => {
  const { path, folder } = await newBench({ size: 16 * MiB }, { memory: '64 MiB' });
  const image = newImage(folder, 16 * MiB);
  const convert = ['convert', '-n', '-f', 'raw', '-O', 'raw'];
  await tool(context, 'qemu-img', ...convert, image, uri(path));
  await tool(context, 'qemu-img', 'compare', '-f', 'raw', '-F', 'raw', image, uri(path));
  const map = JSON.parse(await tool(context, 'qemu-img', 'map', '--output=json', '-f', 'raw', uri(path)));
  expect(map.some(({ data }: { data: boolean }) => data)).toBe(true);
  expect(map.some(({ data, zero }: { data: boolean; zero: boolean }) => !data && zero)).toBe(true);
  const out = join(folder, 'out');
  await tool(context, 'qemu-img', 'convert', '-f', 'raw', '-O', 'raw', uri(path), out);
  expect(fs.readFileSync(out).equals(fs.readFileSync(image))).toBe(true);
  for (const flags of [[], ['-w']]) {
    await tool(context, 'qemu-img', 'bench', '-c', '2000', '-d', '32', '-f', 'raw', ...flags, uri(path));
  }
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

test('nbdcopy copies an image in and out over several connections', async (context) => {
  const { path, folder } = await newBench({ size: 16 * MiB }, { memory: '64 MiB' });
  const image = newImage(folder, 16 * MiB);
  await tool(context, 'nbdcopy', image, uri(path));
  const out = join(folder, 'out');
  await tool(context, 'nbdcopy', uri(path), out);
  expect(fs.readFileSync(out).equals(fs.readFileSync(image))).toBe(true);
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

test('fio verifies what it wrote at random, with trims in between', async (context) => {
  const { path, folder } = await newBench({ size: 16 * MiB }, { memory: '64 MiB' });
  const output = await tool(
    context,
    'fio',
    ...['--name=verify', '--ioengine=nbd', `--uri=${uri(path)}`, '--rw=randwrite', '--bs=4k', '--size=16m'],
    ...['--iodepth=16', '--verify=crc32c', '--verify_fatal=1', '--io_size=8m', '--randrepeat=1'],
    `--aux-path=${folder}`,
    '--output-format=json',
  );
  const [job] = JSON.parse(output.slice(output.indexOf('{'))).jobs;
  expect([job.error, job.read.total_ios > 0]).toEqual([0, true]);
  const trims = await tool(
    context,
    'fio',
    ...['--name=trims', '--ioengine=nbd', `--uri=${uri(path)}`, '--rw=randtrim', '--bs=64k', '--size=16m'],
    ...['--iodepth=8', `--aux-path=${folder}`, '--output-format=json'],
  );
  expect(JSON.parse(trims.slice(trims.indexOf('{'))).jobs[0].error).toBe(0);
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

// The command line of the suite: what it takes, what it prints, what its exit status says.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checks } from '../../conformance/checks/index.ts';
import { command, EXIT_CONFORMS, EXIT_NO_RUN, EXIT_VIOLATES } from '../../conformance/suite/command.ts';
import { parseTarget, TargetError } from '../../conformance/suite/target.ts';
import { TinyServer } from './tiny-server.ts';
import { usual } from './usual.ts';

let directory = '';
let server: TinyServer;
let uri = '';
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'nbd-conformance-'));
  server = new TinyServer(usual);
  await server.listen(join(directory, 'socket'));
  uri = `nbd+unix:///disk?socket=${directory}/socket`;
});
afterAll(() => {
  server.close();
  rmSync(directory, { recursive: true, force: true });
});

async function run(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  const status = await command(args, {
    write: (text) => {
      out += text;
    },
    complain: (text) => {
      err += text;
    },
  });
  return { status, out, err };
}

describe('the command', () => {
  test('tells by its exit status that all MUSTs hold', async () => {
    const { status, out } = await run(uri, '--only', 'handshake/');
    expect(out).toContain('All MUSTs that apply hold.');
    expect(status).toBe(EXIT_CONFORMS);
  });

  test('tells by its exit status that a MUST does not hold, and which', async () => {
    const path = join(directory, 'wrong');
    const wrong = new TinyServer(usual, { settings: { handshakeFlags: 7 } });
    await wrong.listen(path);
    try {
      const { status, out } = await run(`nbd+unix:///disk?socket=${path}`, '--only', 'handshake/known-flags');
      expect(out).toContain('Not all MUSTs hold.');
      expect(out).toContain('handshake/known-flags (Handshake flags): handshake flags 0x7');
      expect(status).toBe(EXIT_VIOLATES);
    } finally {
      wrong.close();
    }
  });

  test('prints one JSON object with --json', async () => {
    const { status, out } = await run(uri, '--only', 'options/', '--only', 'opening/info', '--json');
    const told = JSON.parse(out);
    expect(told).toMatchObject({ uri, conforms: true, server: { size: String(usual.sizeBytes), go: true } });
    expect(told.checks.map(({ id }: { id: string }) => id)).toContain('opening/info-stays');
    expect(told.checks.every(({ result }: { result: string }) => result === 'passed')).toBe(true);
    expect(status).toBe(EXIT_CONFORMS);
  });

  test('writes nothing without --write', async () => {
    await run(uri, '--only', 'writes/', '--only', 'trim/', '--only', 'zeroes/');
    expect(server.memory.written.size).toBe(0);
    expect(server.memory.bytes.every((byte) => byte === 0)).toBe(true);
  });

  test('writes only within the region', async () => {
    const path = join(directory, 'scratch');
    const scratch = new TinyServer(usual);
    await scratch.listen(path);
    try {
      const region = ['--write', '1M:1M'];
      const { status } = await run(
        `nbd+unix:///disk?socket=${path}`,
        ...region,
        '--only',
        'writes/',
        '--only',
        'zeroes/',
      );
      expect(status).toBe(EXIT_CONFORMS);
      const { bytes } = scratch.memory;
      const mebibyte = 1024 * 1024;
      expect(bytes.subarray(0, mebibyte).every((byte) => byte === 0)).toBe(true);
      expect(bytes.subarray(mebibyte, 2 * mebibyte).some((byte) => byte !== 0)).toBe(true);
      expect(bytes.subarray(2 * mebibyte).every((byte) => byte === 0)).toBe(true);
    } finally {
      scratch.close();
    }
  });

  test('lists all checks without a server', async () => {
    const { status, out } = await run('--list');
    expect(out.trimEnd().split('\n')).toHaveLength(checks.length);
    expect(status).toBe(EXIT_CONFORMS);
  });

  test.each([
    ['no URI', [], 'give the URI of one server'],
    ['an unknown option', ['--fast'], "Unknown option '--fast'"],
    ['a check that is not there', ['nbd://localhost', '--only', 'nothing/'], "begins with 'nothing/'"],
    ['a region without length', ['nbd://localhost', '--write', '0'], '--write must be OFFSET:LENGTH'],
    ['an empty region', ['nbd://localhost', '--write', '0:0'], 'must not be empty'],
    ['no patience', ['nbd://localhost', '--patience', '0'], '--patience must be a whole number'],
    ['no server', ['nbd+unix:///?socket=/nowhere/socket'], 'cannot connect'],
  ])('refuses %s in one line', async (_what, args, message) => {
    const { status, out, err } = await run(...args);
    expect(err).toContain(message);
    expect(err.trimEnd().split('\n')).toHaveLength(1);
    expect(out).toBe('');
    expect(status).toBe(EXIT_NO_RUN);
  });

  test('refuses an export that is not there', async () => {
    const { status, err } = await run(uri.replace('disk', 'disc'));
    expect(err).toContain("the server has no export 'disc'");
    expect(status).toBe(EXIT_NO_RUN);
  });

  test('refuses a region past the end of the export', async () => {
    const { status, err } = await run(uri, '--write', '1G:1M');
    expect(err).toContain('the region to write ends past the export');
    expect(status).toBe(EXIT_NO_RUN);
  });

  test('runs as a program, on nothing but Node', () => {
    const main = join(import.meta.dirname, '../../conformance/main.ts');
    const { status, stdout } = spawnSync(process.execPath, [main, '--help'], { encoding: 'utf8' });
    expect(stdout).toMatch(/^Usage: nbd-conformance /);
    expect(status).toBe(EXIT_CONFORMS);
  });
});

describe('a URI', () => {
  test.each([
    ['nbd://example.com', { host: 'example.com', port: 10809 }, ''],
    ['nbd://example.com:1/disk', { host: 'example.com', port: 1 }, 'disk'],
    ['nbd://[::1]:1//a%20b', { host: '::1', port: 1 }, '/a b'],
    ['nbd+unix:///?socket=/run/nbd', { path: '/run/nbd' }, ''],
    ['nbd+unix:///%C3%9F?socket=s', { path: 's' }, 'ß'],
  ])('%s names a server and an export', (text, address, exportName) => {
    expect(parseTarget(text)).toMatchObject({ address, exportName, secure: false });
  });

  test('asks for TLS by its scheme', () => {
    const target = parseTarget('nbds+unix:///?socket=s&tls-verify-peer=0&tls-hostname=here');
    expect(target).toMatchObject({ secure: true, tls: { rejectUnauthorized: false, servername: 'here' } });
  });

  test.each([
    'disk',
    'http://example.com/',
    'nbd+unix:///disk',
    'nbd://example.com/?socket=s',
    'nbd://example.com/%ff',
    'nbd://example.com/?tls-type=psk',
    'nbds://example.com/?tls-verify-peer=no',
    'nbds://example.com/?tls-certificates=/nowhere',
  ])('%s is refused', (text) => {
    expect(() => parseTarget(text)).toThrow(TargetError);
  });
});

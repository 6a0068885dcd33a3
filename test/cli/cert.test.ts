// `tmem cert` as a user runs it, and whether TLS takes what it made.
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { address } from '../../src/cli/cert/arguments.ts';
import { makeAuthority, makeNode } from '../../src/cli/cert/make.ts';
import { certificatesView, readCertificates } from '../../src/cli/cert/show.ts';
import { nodeNameOf } from '../../src/ramster/transport/identity.ts';
import { readTls } from '../../src/serve/certificates.ts';
import { Scratch } from './scratch.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const DAY_MS = 86_400_000;

const scratch = new Scratch();
const authority = join(scratch.path, 'authority');
/** Where the authority of most tests was made, and when. */
const nowMs = Date.now();
beforeAll(async () => {
  await makeAuthority({ out: authority, name: 'test', days: 100, force: false }, nowMs);
});
afterAll(() => scratch[Symbol.dispose]());

const newDirectory = (): string => mkdtempSync(join(scratch.path, 'd-'));
const certificateIn = (path: string): X509Certificate => new X509Certificate(readFileSync(path));

function tmem(...args: string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [MAIN, 'cert', ...args], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
    cwd: scratch.path,
  });
}

const nodeOptions = { authority, address: [], days: 365, force: false };

describe('on the command line', () => {
  test('an authority and a node are made in two lines, and shown', () => {
    const out = newDirectory();
    const [ca, own] = [join(out, 'ca'), join(out, 'alpha')];
    expect(tmem('authority', '--out', ca, '--name', 'my cluster', '--days', '30')).toMatchObject({
      ...{ status: 0, stderr: '' },
      stdout: expect.stringMatching(
        /^made authority: .*ca-cert\.pem and .*ca-key\.pem, valid until [\d-]+\n$/,
      ),
    });
    const addresses = ['--address', '10.0.0.1', 'alpha.example', '--address', '::1'];
    expect(tmem('node', 'alpha', '--authority', ca, '--out', own, ...addresses)).toMatchObject({
      ...{ status: 0, stderr: '' },
      stdout: expect.stringMatching(
        /^made node alpha: .*alpha-cert\.pem and .*alpha-key\.pem, valid until [\d-]+\n$/,
      ),
    });
    expect(readdirSync(own).sort()).toEqual(['alpha-cert.pem', 'alpha-key.pem', 'ca-cert.pem']);
    expect(readdirSync(ca).sort()).toEqual(['ca-cert.pem', 'ca-key.pem']);
    const shown = tmem('show', join(own, 'alpha-cert.pem'));
    expect(shown).toMatchObject({ status: 0, stderr: '' });
    expect(shown.stdout).toMatch(/^node alpha\nsubject {6}CN=alpha\nsigned by {4}CN=my cluster\n/);
    expect(JSON.parse(tmem('show', join(ca, 'ca-cert.pem'), '--json').stdout)).toMatchObject({
      certificates: [{ subject: 'CN=my cluster', isAuthority: true, node: null, state: 'valid' }],
    });
  });

  test.each<[string[], RegExp]>([
    [
      ['node', 'alpha', '--out', 'x'],
      /^tmem cert node: required option '--authority <dir>' not specified\n$/,
    ],
    [
      ['node', 'alpha', '--out', 'x', '--authority', 'none'],
      /^tmem cert node: there is no authority in .*none/,
    ],
    [['node', 'a b', '--out', 'x', '--authority', 'authority'], /^tmem cert node: .*1 to 40 letters/],
    [['node', 'ca', '--out', 'x', '--authority', 'authority'], /^tmem cert node: .*stands for the authority/],
    [['authority', '--out', 'authority'], /^tmem cert authority: .*is there already; --force replaces it\n$/],
    [['authority', '--out', 'x', '--days', '0'], /^tmem cert authority: .*from 1 to 36500/],
    [['authority', '--out', 'x', '--name', '"x", CN=y'], /^tmem cert authority: .*1 to 64 letters/],
    [['show', 'none.pem'], /^tmem cert show: ENOENT/],
    [['show', join('authority', 'ca-key.pem')], /^tmem cert show: .*has no certificate/],
    [['bogus'], /^tmem cert: unknown command 'bogus'\n$/],
  ])('%j fails in one line, with exit status 1, and makes nothing', (args, message) => {
    const { status, stdout, stderr } = tmem(...args);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd()).not.toContain('\n');
    expect(readdirSync(scratch.path)).not.toContain('x');
  });
});

describe('files', () => {
  test('keys are for their owner only, also if they replace others', async () => {
    const out = newDirectory();
    const made = await makeNode('alpha', { ...nodeOptions, out }, nowMs);
    expect(statSync(made.key).mode & 0o777).toBe(0o600);
    writeFileSync(join(out, 'beta-key.pem'), 'open to all', { mode: 0o644 });
    const replaced = await makeNode('beta', { ...nodeOptions, out, force: true }, nowMs);
    expect(statSync(replaced.key).mode & 0o777).toBe(0o600);
    expect(statSync(join(authority, 'ca-key.pem')).mode & 0o777).toBe(0o600);
  });

  test('are never replaced without being asked to, and none is left when one is there', async () => {
    const out = newDirectory();
    for (const name of ['alpha-cert.pem', 'alpha-key.pem']) {
      writeFileSync(join(out, name), 'mine');
      await expect(makeNode('alpha', { ...nodeOptions, out }, nowMs)).rejects.toThrow(
        `${join(out, name)} is there already; --force replaces it`,
      );
      expect(readdirSync(out)).toEqual([name]);
      expect(readFileSync(join(out, name), 'utf8')).toBe('mine');
      await rm(join(out, name));
    }
  });

  test('that are links are replaced, and not what they lead to', async () => {
    const out = newDirectory();
    const precious = join(newDirectory(), 'precious');
    writeFileSync(precious, 'mine');
    symlinkSync(precious, join(out, 'alpha-key.pem'));
    await expect(makeNode('alpha', { ...nodeOptions, out }, nowMs)).rejects.toThrow(/is there already/);
    await makeNode('alpha', { ...nodeOptions, out, force: true }, nowMs);
    expect(readFileSync(precious, 'utf8')).toBe('mine');
    expect(readFileSync(join(out, 'alpha-key.pem'), 'utf8')).toMatch(/^-----BEGIN PRIVATE KEY-----/);
    expect(readdirSync(out).sort()).toEqual(['alpha-cert.pem', 'alpha-key.pem', 'ca-cert.pem']);
  });

  test('of several nodes share the copy of the authority, and no authority is mixed with another', async () => {
    const out = newDirectory();
    await makeNode('alpha', { ...nodeOptions, out }, nowMs);
    await makeNode('beta', { ...nodeOptions, out }, nowMs);
    await makeNode('gamma', { ...nodeOptions, out: authority }, nowMs);
    const other = newDirectory();
    await makeAuthority({ out: other, name: 'other', days: 10, force: false }, nowMs);
    const before = readFileSync(join(other, 'ca-cert.pem'));
    await expect(makeNode('delta', { ...nodeOptions, authority: other, out }, nowMs)).rejects.toThrow(
      /ca-cert\.pem is there already/,
    );
    await expect(makeNode('delta', { ...nodeOptions, out: other, force: true }, nowMs)).rejects.toThrow(
      `${other} has the files of another authority`,
    );
    expect(readFileSync(join(other, 'ca-cert.pem'))).toEqual(before);
  });
});

describe('an authority', () => {
  test.each<[string, (directory: string) => void, RegExp]>([
    ['without its key', () => {}, /there is no authority in .*ca-key\.pem is missing/],
    [
      'with a key that is none',
      (directory) => writeFileSync(join(directory, 'ca-key.pem'), 'none'),
      /the authority cannot be used/,
    ],
    [
      'with the key of another',
      (directory) => {
        const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        writeFileSync(join(directory, 'ca-key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
      },
      /the key of the authority does not belong to its certificate/,
    ],
    [
      'that is too large to be one',
      (directory) => writeFileSync(join(directory, 'ca-key.pem'), Buffer.alloc(2_000_000)),
      /is no file of certificates or a key/,
    ],
  ])('%s signs nothing', async (_, change, message) => {
    const directory = newDirectory();
    copyFileSync(join(authority, 'ca-cert.pem'), join(directory, 'ca-cert.pem'));
    change(directory);
    const out = join(directory, 'out');
    await expect(makeNode('alpha', { ...nodeOptions, authority: directory, out }, nowMs)).rejects.toThrow(
      message,
    );
    expect(readdirSync(directory)).not.toContain('out');
  });

  test('that is only a node signs nothing', async () => {
    const [out, directory] = [newDirectory(), newDirectory()];
    const made = await makeNode('alpha', { ...nodeOptions, out }, nowMs);
    copyFileSync(made.certificate, join(directory, 'ca-cert.pem'));
    copyFileSync(made.key, join(directory, 'ca-key.pem'));
    await expect(makeNode('beta', { ...nodeOptions, authority: directory, out }, nowMs)).rejects.toThrow(
      /is not that of an authority/,
    );
  });

  test('that has expired signs nothing, and nothing lives longer than it', async () => {
    const out = newDirectory();
    await expect(makeNode('alpha', { ...nodeOptions, out }, nowMs + 101 * DAY_MS)).rejects.toThrow(
      /has expired: make a new one/,
    );
    const made = await makeNode('alpha', { ...nodeOptions, out }, nowMs);
    const until = certificateIn(join(authority, 'ca-cert.pem')).validToDate;
    expect(certificateIn(made.certificate).validToDate).toEqual(until);
    expect(made.validUntil).toEqual(until);
  });
});

describe('a certificate', () => {
  test('is valid for the days asked for, a little before now for clocks that are behind', async () => {
    const out = newDirectory();
    const { validFromDate, validToDate } = certificateIn(
      (await makeNode('alpha', { ...nodeOptions, out, days: 7 }, nowMs)).certificate,
    );
    expect(Math.abs(validToDate.getTime() - nowMs - 7 * DAY_MS)).toBeLessThan(1000);
    expect(Math.abs(nowMs - 3_600_000 - validFromDate.getTime())).toBeLessThan(1000);
  });

  test('names its node and its addresses, and is shown with them', async () => {
    const out = newDirectory();
    const made = await makeNode(
      'alpha',
      { ...nodeOptions, out, address: ['10.0.0.1', 'alpha.example'] },
      nowMs,
    );
    expect(nodeNameOf(certificateIn(made.certificate))).toBe('alpha');
    const [shown] = readCertificates(made.certificate, nowMs);
    expect(shown).toMatchObject({
      ...{ node: 'alpha', addresses: ['10.0.0.1', 'alpha.example'], state: 'valid', isAuthority: false },
      ...{ subject: 'CN=alpha', issuer: 'CN=test' },
    });
    expect(readCertificates(made.certificate, nowMs + 400 * DAY_MS)[0]?.state).toBe('expired');
    const early = certificatesView(readCertificates(made.certificate, nowMs - DAY_MS));
    expect(early.flat()).toContainEqual({ text: ' (not valid yet)', style: 'alarm' });
  });

  test('is shown together with those in the same file', async () => {
    const out = newDirectory();
    const { certificate } = await makeNode('alpha', { ...nodeOptions, out }, nowMs);
    const chain = join(out, 'chain.pem');
    writeFileSync(chain, readFileSync(certificate, 'utf8') + readFileSync(join(out, 'ca-cert.pem'), 'utf8'));
    expect(readCertificates(chain, nowMs).map(({ node, isAuthority }) => [node, isAuthority])).toEqual([
      ['alpha', false],
      [null, true],
    ]);
    writeFileSync(chain, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    expect(() => readCertificates(chain, nowMs)).toThrow(/a certificate cannot be read/);
    writeFileSync(chain, readFileSync(certificate, 'utf8').repeat(21));
    expect(() => readCertificates(chain, nowMs)).toThrow(/has more than 20 certificates/);
    mkdirSync(join(out, 'directory'));
    expect(() => readCertificates(join(out, 'directory'), nowMs)).toThrow(/is no file of certificates/);
  });

  test('does for TLS clients that compare the host, on both sides, and for the settings of tmem serve', async () => {
    const out = newDirectory();
    const hosts = { ...nodeOptions, out, address: ['localhost', '127.0.0.1'] };
    const [server, client] = [
      await makeNode('server', hosts, nowMs),
      await makeNode('client', { ...nodeOptions, out }, nowMs),
    ];
    const ca = join(out, 'ca-cert.pem');
    const tls = readTls({ certificate: server.certificate, key: server.key, authority: ca, required: true });
    const listening = createServer({ ...tls, requestCert: true, rejectUnauthorized: true }, (socket) => {
      socket.end(`hello ${socket.getPeerCertificate().subject.CN}`);
    });
    onTestFinished(() => void listening.close());
    await once(listening.listen(0, '127.0.0.1'), 'listening');
    const { port } = listening.address() as AddressInfo;
    for (const host of ['localhost', '127.0.0.1']) {
      const own = {
        ca: readFileSync(ca),
        cert: readFileSync(client.certificate),
        key: readFileSync(client.key),
      };
      const socket = connect({
        port,
        host: '127.0.0.1',
        servername: host === 'localhost' ? host : '',
        ...own,
      });
      onTestFinished(() => void socket.destroy());
      const [answer] = (await once(socket, 'data')) as [Buffer];
      expect(answer.toString()).toBe('hello client');
    }
  });
});

describe('an address', () => {
  test.each(['10.0.0.5', '::1', 'alpha', 'alpha.example', 'node-1_x.example'])('%s is taken', (text) => {
    expect(address(text, ['other'])).toEqual(['other', text]);
    expect(address(text, [text])).toEqual([text]);
  });

  test.each([
    '',
    '300.1.1.1',
    'alpha:7077',
    '[::1]',
    'fe80::1%eth0',
    'a..b',
    '-a',
    '*.example',
    'a b',
    `${'a'.repeat(64)}.b`,
  ])('%j is refused', (text) => {
    expect(() => address(text)).toThrow(/host name or an IP address/);
  });
});

// Settings of the daemon: from file, environment and flags, checked as a whole.
import fs from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isLocal, parseAddress } from '../../src/serve/addresses.ts';
import { parseExport } from '../../src/serve/export-text.ts';
import { exportUri, readSettings, TEXT_SETTINGS, variableOf } from '../../src/serve/index.ts';
import { type ServeInput, type ServeSettings, serveSettings } from '../../src/serve/settings.ts';
import { TmemError } from '../../src/zcache/index.ts';
import { newFolder, writeSettings } from './running.ts';

const MiB = 2 ** 20;

const sound: ServeInput = {
  store: { memory: '64 MiB' },
  listen: ['unix:/tmp/nbd.sock'],
  exports: [{ name: 'one', kind: 'swap', size: '1 MiB' }],
};

function messageOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(TmemError);
    expect(error).toMatchObject({ code: 'TMEM_ERR_SETTING' });
    return (error as Error).message;
  }
  return expect.fail('nothing was thrown');
}

function read(
  flags: Record<string, string | string[]> = {},
  environment: Record<string, string> = {},
  file?: string,
): ServeSettings {
  return readSettings({ file, environment, flags, inheritsSockets: false });
}

test('sound settings are taken, and the rest is filled in', () => {
  const settings = serveSettings({ ...sound, http: ':9105', threads: 3 });
  expect(settings).toMatchObject({
    listen: [{ path: '/tmp/nbd.sock' }],
    http: { host: '127.0.0.1', port: 9105 },
    threads: 3,
    drainTimeoutMs: 5000,
    exports: [{ name: 'one', kind: 'swap', size: MiB }],
  });
  // What no file takes, the store has to.
  expect(settings.store).toEqual({ memory: '64 MiB', incompressible: 'store', threads: 8 });
});

test('a store that may exist is told only what was given', () => {
  const exports = [{ name: 'one', kind: 'disk' as const, file: '/srv/image' }];
  const { store } = serveSettings({ ...sound, store: { name: 'web' }, exports });
  expect(store).toEqual({ name: 'web' });
});

test('all mistakes are told at once, each with its place', () => {
  const message = messageOf(() =>
    serveSettings({
      store: { memory: '1 MiB', colour: 1, shrinker: { lowPercent: 99, nonsense: 1 } },
      listen: ['unix:relative', 'tcp://host'],
      http: 5,
      threads: -1,
      tls: { key: 3, certificates: '' },
      drainTimeoutMs: 'soon',
      surprise: true,
      exports: [
        { name: 'a', kind: 'swap' },
        { name: 'b', kind: 'tape', size: -1, foo: 2 },
        { name: 'c\0', kind: 'ram', size: '1 MiB', file: '/x', cache: 1 },
        { name: 'd', kind: 'disk', size: '1 MiB', writethrough: true },
        'e',
      ],
    }),
  );
  for (const place of [
    ...['store.memory', 'store.colour', 'store.shrinker.lowPercent', 'store.shrinker.nonsense'],
    ...['listen[0]', 'listen[1]', 'http', 'threads', 'tls.key', 'tls.certificate', 'tls.certificates'],
    ...['drainTimeoutMs', 'surprise', 'exports[0].size', 'exports[1].kind', 'exports[1].size'],
    ...['exports[1].foo', 'exports[2].name', 'exports[2].cache', 'exports[3].file', 'exports[4]'],
  ]) {
    expect(message.split('; ').filter((each) => each.includes(`${place}: `))).not.toEqual([]);
  }
});

test.each<[string, object, RegExp]>([
  ['no memory for a store without a name', { store: {} }, /store\.memory: is required/],
  ['a directory without a name', { store: { memory: '8 MiB', directory: '/x' } }, /store\.directory: /],
  [
    'settings of the store that contradict',
    { store: { memory: '8 MiB', arenas: 9 } },
    /store\.arenas: got 9/,
  ],
  ['nowhere to listen', { listen: [] }, /listen: is required/],
  ['nothing to serve', { exports: [] }, /exports: got an empty array/],
  ['two exports of a name', { exports: [...sound.exports!, ...sound.exports!] }, /two are called 'one'/],
  ['one address twice', { listen: ['unix:/x', 'unix:/x'] }, /listen: unix:\/x is named twice/],
  [
    'fewer slots than threads',
    { threads: 8, store: { memory: '64 MiB', threads: 8 } },
    /store\.threads: got 8/,
  ],
])('%s is a mistake', (_, changes, message) => {
  expect(messageOf(() => serveSettings({ ...sound, ...changes }))).toMatch(message);
});

test('sockets that are handed over are enough to listen on', () => {
  expect(serveSettings({ ...sound, listen: [] }, true).listen).toEqual([]);
});

test('mistakes are listed up to a bound', () => {
  const exports = Array.from({ length: 900 }, () => ({ name: 'x', kind: 'tape' }));
  const message = messageOf(() => serveSettings({ ...sound, exports }));
  expect(message).toMatch(/and 850 more$/);
});

test('whatever is in a settings file is taken, or refused with a TmemError', () => {
  const folder = newFolder();
  const words = fc.constantFrom(
    ...Object.keys(sound),
    'tls',
    'http',
    'threads',
    'name',
    'kind',
    'size',
    'file',
  );
  const leaf = fc.oneof(fc.string(), fc.double(), fc.integer(), fc.boolean(), fc.constant(null));
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small' },
      leaf,
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.dictionary(fc.oneof(words, fc.string()), tie('tree'), { maxKeys: 6 }),
    ),
  }));
  const nearly = fc.record(
    { store: tree, listen: tree, exports: fc.array(tree, { maxLength: 3 }), tls: tree, http: tree },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.oneof(tree, nearly, fc.jsonValue()), fc.array(fc.string()), (value, given) => {
      const file = writeSettings(value as object, folder);
      try {
        read({ export: given, listen: given, threads: given[0] ?? '', 'tls-key': 'x' }, {}, file);
      } catch (error) {
        if (!TmemError.is(error)) throw error;
      }
    }),
    { numRuns: 500 },
  );
});

test('a file that is missing, no JSON, or no object is named', () => {
  const folder = newFolder();
  const file = join(folder, 'settings');
  expect(messageOf(() => read({}, {}, file))).toMatch(/settings: cannot be read: ENOENT/);
  fs.writeFileSync(file, '{ "store": ');
  expect(messageOf(() => read({}, {}, file))).toMatch(/settings: is not JSON: /);
  fs.writeFileSync(file, '[]');
  expect(messageOf(() => read({}, {}, file))).toMatch(/settings: has no object/);
});

test('flags win over the environment, which wins over the file', () => {
  const file = writeSettings(
    {
      ...sound,
      threads: 1,
      http: ':1',
      drainTimeoutMs: 1,
      exports: [
        { name: 'one', kind: 'swap', size: '1 MiB' },
        { name: 'two', kind: 'ram', size: '1 MiB' },
      ],
    },
    newFolder(),
  );
  const environment = {
    TMEM_SERVE_CONFIG: file,
    TMEM_SERVE_THREADS: '2',
    TMEM_SERVE_HTTP: ':2',
    TMEM_SERVE_LISTEN: 'unix:/a  :7',
    TMEM_SERVE_TLS_CERTIFICATE: '/cert',
  };
  const flags = {
    ...{ threads: '3', export: ['two=ram:2MiB', 'three=disk:/img,readOnly,size=5MiB'] },
    ...{ 'tls-key': '/key', 'tls-required': 'false' },
  };
  expect(read(flags, environment)).toMatchObject({
    threads: 3,
    http: { port: 2 },
    drainTimeoutMs: 1,
    listen: [{ path: '/a' }, { port: 7 }],
    tls: { certificate: '/cert', key: '/key', required: false },
    exports: [
      { name: 'one', size: MiB },
      { name: 'two', size: 2 * MiB },
      { name: 'three', kind: 'disk', file: '/img', readOnly: true, size: 5 * MiB },
    ],
  });
});

test('a variable that means nothing is a mistake, told with the others', () => {
  const message = messageOf(() =>
    read({ threads: 'many' }, { TMEM_SERVE_THREAD: '1', TMEM_SERVE_HTTP: '?' }),
  );
  expect(message).toMatch(/TMEM_SERVE_THREAD: unknown, known are .*TMEM_SERVE_THREADS/);
  expect(message).toMatch(/http: got "\?"/);
  expect(message).toMatch(/threads: got "many"/);
});

test('all variables and flags are documented', () => {
  const page = fs.readFileSync(join(import.meta.dirname, '../../docs/operating/serve.md'), 'utf8');
  for (const setting of TEXT_SETTINGS) {
    expect(page).toContain(`\`--${setting.name}\``);
    expect(page).toContain(variableOf(setting));
  }
});

test.each([
  ['unix:/run/nbd.sock', { path: '/run/nbd.sock' }],
  ['tcp://10.0.0.1:10809', { host: '10.0.0.1', port: 10809 }],
  ['localhost:1', { host: 'localhost', port: 1 }],
  ['tcp://[::1]:2', { host: '::1', port: 2 }],
  [':3', { host: '127.0.0.1', port: 3 }],
  ['unix:nbd.sock', undefined],
  [`unix:/${'x'.repeat(108)}`, undefined],
  ['tcp://host', undefined],
  ['host:65536', undefined],
  ['http://host:1', undefined],
])('the address %s', (text, address) => {
  expect(parseAddress(text)).toEqual(address);
});

test('addresses of exports can be pasted whatever the names', () => {
  expect(exportUri({ path: '/run/a b?' }, 'vm/1 ü', false)).toBe(
    'nbd+unix:///vm%2F1%20%C3%BC?socket=/run/a%20b%3F',
  );
  expect(exportUri({ host: '::1', port: 10809 }, 'x', true)).toBe('nbds://[::1]:10809/x');
});

test('addresses are local or not', () => {
  const local = ['unix:/x', ':1', 'localhost:1', '127.9.9.9:1', '[::1]:1'];
  for (const text of local) expect(isLocal(parseAddress(text)!)).toBe(true);
  for (const text of ['0.0.0.0:1', '[::]:1', '10.0.0.1:1', 'host:1'])
    expect(isLocal(parseAddress(text)!)).toBe(false);
});

test.each([
  ['vm1=swap:2GiB', { name: 'vm1', kind: 'swap', size: '2GiB' }],
  ['data=disk:./img', { name: 'data', kind: 'disk', file: './img' }],
  ['=ram:1M,description=a=b', { name: '', kind: 'ram', size: '1M', description: 'a=b' }],
  ['x=disk:/img,cache,size=1M', { name: 'x', kind: 'disk', file: '/img', cache: true, size: '1M' }],
  ['x=disk:/img,file=/other', 'x=disk:/img,file=/other'],
  ['nonsense', 'nonsense'],
])('the export %s', (text, parsed) => {
  expect(parseExport(text)).toEqual(parsed);
});

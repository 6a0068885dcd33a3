// Option haggling: every option, and what is wrong with options.
import { once } from 'node:events';
import { expect, test, vi } from 'vitest';
import { INFO, OPT, REP } from '../../src/nbd/protocol.ts';
import { newBench } from './bench.ts';
import { ByteStream, Client, connectTo, Handshake, nameOf, optionBytes, u16, u32 } from './client.ts';

const types = (replies: readonly { type: number }[]): number[] => replies.map(({ type }) => type);
const goData = (name: string, ...information: number[]): Buffer =>
  Buffer.concat([nameOf(name), u16(information.length, ...information)]);
const metaData = (name: string, ...queries: string[]): Buffer =>
  Buffer.concat([nameOf(name), u32(queries.length), ...queries.map(nameOf)]);

async function started(flags = 3): Promise<Handshake> {
  const { path } = await newBench({ description: 'for tests' });
  return await Handshake.start(await connectTo(path), flags);
}

test('the server greets first, as fixed newstyle that can leave out zeroes', async () => {
  const { path } = await newBench();
  const stream = new ByteStream(await connectTo(path));
  expect((await stream.read(18))?.toString('hex')).toBe('4e42444d4147494349484156454f50540003');
  stream.socket.destroy();
});

test('unknown client flags end the connection', async () => {
  const hand = await started(4);
  expect(await hand.stream.closed()).toBe(true);
});

test('an option that nobody knows is answered, its data is skipped, and the next is served', async () => {
  const hand = await started();
  for (const data of [Buffer.alloc(0), Buffer.alloc(10), Buffer.alloc(200_000)]) {
    expect(types(await hand.ask(1234, data))).toEqual([REP.ERR_UNSUP]);
  }
  expect(types(await hand.ask(OPT.STARTTLS))).toEqual([REP.ERR_UNSUP]);
  expect(types(await hand.ask(OPT.LIST))).toEqual([REP.SERVER, REP.ACK]);
});

test('what does not begin as an option ends the connection', async () => {
  const hand = await started();
  hand.stream.socket.write(Buffer.alloc(16, 1));
  expect(await hand.stream.closed()).toBe(true);
});

test('LIST names the exports with their descriptions, and has no data', async () => {
  const hand = await started();
  const [entry] = await hand.ask(OPT.LIST);
  expect(entry?.data).toEqual(Buffer.concat([nameOf('one'), Buffer.from('for tests')]));
  expect(types(await hand.ask(OPT.LIST, Buffer.alloc(1)))).toEqual([REP.ERR_INVALID]);
});

test('INFO tells what was asked for, and the export always', async () => {
  const hand = await started();
  const replies = await hand.ask(OPT.INFO, goData('one', INFO.NAME, INFO.DESCRIPTION, INFO.BLOCK_SIZE, 99));
  expect(replies.map(({ data }) => data.toString('hex'))).toEqual([
    `0000${(8 * 2 ** 20).toString(16).padStart(16, '0')}0d6d`,
    `0001${Buffer.from('one').toString('hex')}`,
    `0002${Buffer.from('for tests').toString('hex')}`,
    '0003000000010000100002000000',
    '',
  ]);
  expect(types(await hand.ask(OPT.INFO, goData('one')))).toEqual([REP.INFO, REP.ACK]);
});

test('the only export is the default one; others are unknown, and the handshake goes on', async () => {
  const hand = await started();
  expect(types(await hand.ask(OPT.INFO, goData('two')))).toEqual([REP.ERR_UNKNOWN]);
  expect(types(await hand.ask(OPT.GO, goData('two')))).toEqual([REP.ERR_UNKNOWN]);
  expect(types(await hand.ask(OPT.INFO, Buffer.alloc(3)))).toEqual([REP.ERR_INVALID]);
  expect(types(await hand.ask(OPT.GO, goData('')))).toEqual([REP.INFO, REP.ACK]);
});

test('an option with more data than any needs is refused, and the next is served', async () => {
  const hand = await started();
  expect(types(await hand.ask(OPT.GO, Buffer.alloc(100_000)))).toEqual([REP.ERR_TOO_BIG]);
  expect(types(await hand.ask(OPT.INFO, goData('one')))).toEqual([REP.INFO, REP.ACK]);
});

test('ABORT is acknowledged, and ends the connection', async () => {
  const hand = await started();
  expect(types(await hand.ask(OPT.ABORT, Buffer.from('ignored')))).toEqual([REP.ACK]);
  expect(await hand.stream.closed()).toBe(true);
});

test.each([
  [3, 10],
  [1, 134],
])('EXPORT_NAME with client flags %i is answered with %i bytes, and begins', async (flags, bytes) => {
  const hand = await started(flags);
  hand.stream.socket.write(optionBytes(OPT.EXPORT_NAME, Buffer.from('one')));
  const answer = await hand.stream.read(bytes);
  expect(answer?.toString('hex', 0, 10)).toBe('00000000008000000d6d');
  expect(answer?.subarray(10).every((byte) => byte === 0)).toBe(true);
  hand.stream.socket.write(Buffer.from(`25609513${'0'.repeat(8)}${'0'.repeat(32)}00000004`, 'hex'));
  expect((await hand.stream.read(20))?.toString('hex')).toBe(`67446698${'0'.repeat(32)}`);
});

test('EXPORT_NAME of what is not there ends the connection', async () => {
  const hand = await started();
  hand.stream.socket.write(optionBytes(OPT.EXPORT_NAME, Buffer.from('two')));
  expect(await hand.stream.closed()).toBe(true);
});

test('reply modes are chosen once, extended after structured, and without data', async () => {
  const hand = await started();
  expect(types(await hand.ask(OPT.STRUCTURED_REPLY, Buffer.alloc(1)))).toEqual([REP.ERR_INVALID]);
  expect(types(await hand.ask(OPT.STRUCTURED_REPLY))).toEqual([REP.ACK]);
  expect(types(await hand.ask(OPT.STRUCTURED_REPLY))).toEqual([REP.ERR_INVALID]);
  expect(types(await hand.ask(OPT.EXTENDED_HEADERS))).toEqual([REP.ACK]);
  expect(types(await hand.ask(OPT.EXTENDED_HEADERS))).toEqual([REP.ERR_INVALID]);
  expect(types(await hand.ask(OPT.STRUCTURED_REPLY))).toEqual([REP.ERR_EXT_HEADER_REQD]);
});

test('DF is offered only with structured replies', async () => {
  const { path } = await newBench();
  for (const [mode, df] of [
    ['simple', 0],
    ['structured', 0x80],
    ['extended', 0x80],
  ] as const) {
    const client = await Client.open(path, 'one', mode);
    expect(client.flags & 0x80).toBe(df);
    await client.close();
  }
});

test('contexts are listed and set; unknown ones are ignored', async () => {
  const hand = await started();
  expect(types(await hand.ask(OPT.SET_META_CONTEXT, metaData('one', 'base:allocation')))).toEqual([
    REP.ERR_INVALID,
  ]);
  await hand.ask(OPT.STRUCTURED_REPLY);
  const both = [REP.META_CONTEXT, REP.ACK];
  for (const queries of [[], ['base:'], ['x:y', 'base:allocation']]) {
    expect(types(await hand.ask(OPT.LIST_META_CONTEXT, metaData('one', ...queries)))).toEqual(both);
  }
  for (const queries of [[], ['base:'], ['x:y'], ['base:allocation2']]) {
    expect(types(await hand.ask(OPT.SET_META_CONTEXT, metaData('one', ...queries)))).toEqual([REP.ACK]);
  }
  const set = await hand.ask(OPT.SET_META_CONTEXT, metaData('one', 'x:', 'base:allocation'));
  expect(set[0]?.data).toEqual(Buffer.concat([u32(1), Buffer.from('base:allocation')]));
  expect(types(await hand.ask(OPT.SET_META_CONTEXT, metaData('two')))).toEqual([REP.ERR_UNKNOWN]);
  expect(types(await hand.ask(OPT.SET_META_CONTEXT, u32(77)))).toEqual([REP.ERR_INVALID]);
});

test('options that come in single bytes, and several in one piece, are all answered', async () => {
  const hand = await started();
  const { socket } = hand.stream;
  for (const byte of optionBytes(OPT.LIST)) {
    socket.write(Buffer.of(byte));
    await new Promise(setImmediate);
  }
  await hand.stream.read(20 + 4 + 3 + 9 + 20);
  socket.write(Buffer.concat([optionBytes(77, Buffer.alloc(5)), optionBytes(OPT.ABORT)]));
  const replies = await hand.stream.read(20 + 'unknown option'.length + 20);
  expect(replies?.readUInt32BE(12)).toBe(REP.ERR_UNSUP);
  expect(await hand.stream.closed()).toBe(true);
});

test('a handshake that takes too long is ended', async () => {
  const { path, server } = await newBench({}, { handshakeTimeoutMs: 30 });
  const hand = await Handshake.start(await connectTo(path));
  await hand.ask(OPT.LIST);
  expect(await hand.stream.closed()).toBe(true);
  await vi.waitFor(() => expect(server.connections).toBe(0));
});

test('above the number of connections allowed, new ones are closed at once', async () => {
  const { path } = await newBench({}, { connectionsMax: 2 });
  const clients = [await Client.open(path), await Client.open(path)];
  const third = await connectTo(path);
  third.resume();
  third.on('error', () => {});
  await once(third, 'close');
  expect(await clients[1]!.write(0, Buffer.alloc(512, 7))).toBe(0);
  for (const client of clients) await client.close();
});

test('a stopping server takes nobody in, answers ESHUTDOWN, and finishes what is under way', async () => {
  const { path, server } = await newBench();
  const client = await Client.open(path);
  const under = client.write(0, Buffer.alloc(2 ** 20, 5));
  const hand = await Handshake.start(await connectTo(path));
  expect(await under).toBe(0);
  const stopped = server.stop(2000);
  expect(await client.write(0, Buffer.alloc(512, 7))).toBe(108);
  expect(await hand.stream.closed()).toBe(true);
  await stopped;
  expect(await client.stream.closed()).toBe(true);
  await expect(connectTo(path)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('names and descriptions that do not fit the protocol are refused, the longest that do are listed', async () => {
  const bench = await newBench();
  const { server, path } = bench;
  const { volume } = bench.export;
  const code = 'TMEM_ERR_SETTING';
  for (const wrong of ['x'.repeat(4097), 'ü'.repeat(2049), 'nul\0']) {
    await expect(server.addExport({ name: wrong, description: '', volume })).rejects.toMatchObject({ code });
    await expect(server.addExport({ name: 'two', description: wrong, volume })).rejects.toMatchObject({
      code,
    });
  }
  const longest = 'ü'.repeat(2048);
  await server.addExport({ name: longest, description: longest, volume });
  const hand = await Handshake.start(await connectTo(path));
  const listed = await hand.ask(OPT.LIST);
  expect(listed.map(({ data }) => data.length)).toEqual([4 + 3, 4 + 4096 + 4096, 0]);
  hand.stream.socket.destroy();
});

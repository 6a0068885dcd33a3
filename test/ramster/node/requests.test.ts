// Requests to one peer: each ends, whatever the peer does.
import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../../sim/clock.ts';
import { Requests } from '../../../src/ramster/peer/requests.ts';
import { RemoteError } from '../../../src/ramster/remote-store/remote-store.ts';
import type { Channel } from '../../../src/ramster/transport/transport.ts';
import { decodeFrame, encodeFrame, type Frame, WireError } from '../../../src/ramster/wire/frame.ts';
import { decodeNothing } from '../../../src/ramster/wire/messages.ts';
import { settle } from './scene.ts';

const TIMEOUT_MS = 100;
const WINDOW = 256;

class Line implements Channel {
  readonly peerName = undefined;
  readonly peerAddress = 'test';
  readonly pendingBytes = 0;
  readonly sent: Frame[] = [];
  send(...parts: Uint8Array[]): void {
    this.sent.push(decodeFrame(Uint8Array.from(Buffer.concat(parts))));
  }
  listen(): void {}
  pause(): void {}
  resume(): void {}
  close(): void {}
}

function made() {
  const clock = new VirtualClock();
  const answered: number[] = [];
  const requests = new Requests(clock, TIMEOUT_MS, (ms) => answered.push(ms));
  const line = new Line();
  requests.open(line);
  /** Asks; the outcome is kept. */
  const ask = () => {
    const result = requests.ask(
      'get',
      (request) => encodeFrame({ type: 'get', isReply: false, status: 'ok', request }),
      ({ body }) => Buffer.from(body).toString(),
    );
    result.catch(() => {});
    return result;
  };
  const reply = (request: number, text = ''): Frame => ({
    ...{ type: 'get', isReply: true, status: 'ok', request },
    body: Buffer.from(text),
  });
  const numberOf = (at: number): number => (line.sent[at] as Frame).request;
  return { clock, requests, line, ask, reply, numberOf, answered };
}

describe('requests', () => {
  test('each get their own answer, in whatever order these come', async () => {
    const { requests, ask, reply, numberOf } = made();
    const asked = [ask(), ask(), ask()];
    for (const at of [2, 0, 1]) expect(requests.answer(reply(numberOf(at), `answer ${at}`))).toBe(true);
    expect(await Promise.all(asked)).toEqual(['answer 0', 'answer 1', 'answer 2']);
  });

  test('fail when there is no answer in time, and not before', async () => {
    const { clock, ask, requests, reply, numberOf } = made();
    const late = ask();
    await clock.run(60);
    const second = ask();
    await clock.run(99);
    expect(requests.answer(reply(numberOf(1), 'in time'))).toBe(true);
    await expect(settle(clock, late, 2)).rejects.toBeInstanceOf(RemoteError);
    expect(clock.now()).toBe(TIMEOUT_MS);
    expect(await second).toBe('in time');
  });

  test('do not take an answer that is late, doubled or to nothing', async () => {
    const { clock, ask, requests, reply, numberOf, answered } = made();
    const first = ask();
    await expect(settle(clock, first, 200)).rejects.toThrow('no answer');
    expect(requests.answer(reply(numberOf(0), 'late'))).toBe(false);
    const second = ask();
    expect(numberOf(1)).not.toBe(numberOf(0));
    expect(requests.answer(reply(numberOf(1), 'one'))).toBe(true);
    expect(requests.answer(reply(numberOf(1), 'two'))).toBe(false);
    expect(requests.answer(reply(4711))).toBe(false);
    expect(await second).toBe('one');
    expect(answered).toHaveLength(1);
  });

  test('are under way within a window; the others follow in their order', async () => {
    const { clock, ask, requests, reply, numberOf, line } = made();
    const asked = Array.from({ length: WINDOW + 10 }, ask);
    expect(line.sent).toHaveLength(WINDOW);
    requests.answer(reply(numberOf(5)));
    requests.answer(reply(numberOf(3)));
    expect(line.sent).toHaveLength(WINDOW + 2);
    expect(numberOf(WINDOW + 1)).toBe(numberOf(WINDOW) + 1);
    const results = Promise.allSettled(asked);
    const outcomes = await settle(clock, results, TIMEOUT_MS + 1);
    expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(WINDOW + 8);
    // None of those that waited too long is sent any more, and the window is whole again.
    expect(line.sent).toHaveLength(WINDOW + 2);
    for (let i = 0; i < WINDOW; i++) ask();
    expect(line.sent).toHaveLength(2 * WINDOW + 2);
  });

  test('that would wait behind too many fail at once', async () => {
    const { ask } = made();
    for (let i = 0; i < WINDOW + 4096; i++) ask();
    await expect(ask()).rejects.toThrow('too many');
  });

  test('end with the connection, and leave no timer', async () => {
    const { clock, ask, requests } = made();
    const asked = Array.from({ length: WINDOW + 1 }, ask);
    requests.close('it is gone');
    for (const outcome of await Promise.allSettled(asked)) expect(outcome.status).toBe('rejected');
    await expect(ask()).rejects.toThrow('not connected');
    const before = clock.events;
    await clock.run(10_000);
    expect(clock.events).toBe(before);
  });

  test('tell of an answer of another type, or one that cannot be read', async () => {
    const { ask, requests, reply, numberOf } = made();
    const first = ask();
    expect(() => requests.answer({ ...reply(numberOf(0)), type: 'put' })).toThrow(WireError);
    requests.answer(reply(numberOf(0), 'right'));
    expect(await first).toBe('right');
    const second = requests.ask(
      'free',
      (request) => encodeFrame({ type: 'free', isReply: false, status: 'ok', request }),
      ({ body }) => decodeNothing(body),
    );
    const caught = second.catch((error: unknown) => error);
    expect(() => requests.answer({ ...reply(numberOf(1), 'more'), type: 'free' })).toThrow(WireError);
    expect(await caught).toBeInstanceOf(RemoteError);
  });

  test('that cannot be written fail, and take no place in the window', async () => {
    const { requests, ask, line } = made();
    const broken = () => {
      throw new WireError('impossible');
    };
    for (let i = 0; i < WINDOW; i++) {
      await expect(requests.ask('get', broken, () => {})).rejects.toThrow('impossible');
    }
    ask();
    expect(line.sent).toHaveLength(1);
  });
});

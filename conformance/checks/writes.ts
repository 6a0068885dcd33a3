// WRITE, FUA, FLUSH, and what other connections see of them. Only in the region that the user gave.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer } from '../client/answer-rules.ts';
import type { Transmission } from '../client/transmission.ts';
import { requestMessage } from '../protocol/messages.ts';
import {
  Command,
  CommandFlag,
  Errno,
  ExportFlag,
  PAYLOAD_BYTES_USUAL,
  UNKNOWN_COMMAND_FLAG,
} from '../protocol/numbers.ts';
import { Closed } from '../protocol/violation.ts';
import { area, type Finding, failed, implied, must, need, passed, should, writing } from '../suite/check.ts';
import type { Trial } from '../suite/trial.ts';
import { describeError, expectAnswer, expectReply, needWritable, pattern, sameBytes } from './expect.ts';

const WRITE = 'NBD_CMD_WRITE';
const ERRORS = 'Error values';
const FLAGS = 'Transmission flags';
const ORDER = 'Ordering of messages and writes';
/** Between two looks at something that may take a server a moment. */
const LOOK_MS = 50;
/** Writes under way at once. */
const DEPTH = 16;

/** Writes over one connection and reads over another, which has read the place before. */
async function seenElsewhere(trial: Trial, seed: number, flags: number, flush: boolean): Promise<Finding> {
  needWritable(trial);
  trial.needFlag(ExportFlag.CAN_MULTI_CONN, 'CAN_MULTI_CONN');
  const { offset } = trial.region();
  const bytes = pattern(trial.blockBytes, seed);
  const other = await trial.open();
  await other.read(offset, bytes.length);
  const transmission = await trial.open();
  const written = await transmission.write(offset, bytes, flags);
  if (written.error !== 0) return failed(`WRITE: ${describeError(written)}`);
  if (flush) {
    const flushed = await transmission.call({ type: Command.FLUSH });
    if (flushed.error !== 0) return failed(`FLUSH: ${describeError(flushed)}`);
  }
  return sameBytes(bytes, (await other.read(offset, bytes.length)).data, 'the other connection reads it');
}

/** Undefined when the server closed the connection first. */
async function answerOrClosed(transmission: Transmission): Promise<Answer | undefined> {
  try {
    return await transmission.receive();
  } catch (error) {
    if (error instanceof Closed) return undefined;
    throw error;
  }
}

/** Looks until it is right, or for as long as an answer is waited for. */
async function eventually(trial: Trial, look: () => Promise<Finding>): Promise<Finding> {
  const untilMs = performance.now() + trial.patienceMs;
  for (;;) {
    const finding = await look();
    if (finding.result === 'passed' || performance.now() > untilMs) return finding;
    await sleep(LOOK_MS);
  }
}

/** A write to a read-only export. */
async function onReadOnly(trial: Trial, type: number, ...errors: readonly number[]): Promise<Finding> {
  need((trial.facts.flags & ExportFlag.READ_ONLY) !== 0, 'the export is not read-only');
  const { offset } = trial.region();
  const length = BigInt(trial.blockBytes);
  const payload = type === Command.WRITE ? pattern(trial.blockBytes, 90) : undefined;
  return expectReply(trial, await trial.open(), { type, offset, length, payload }, ...errors);
}

const ANY_ERROR: readonly number[] = Object.values(Errno).filter((error) => error !== 0);

export const writes = area('writes', {
  'read-back': writing(
    must(WRITE, 'reads what was written, over this connection and a later one', async (trial) => {
      needWritable(trial);
      const { offset } = trial.region();
      const bytes = pattern(trial.blockBytes, 1);
      const transmission = await trial.open();
      const written = await transmission.write(offset, bytes);
      if (written.error !== 0) return failed(`WRITE: ${describeError(written)}`);
      const here = sameBytes(bytes, (await transmission.read(offset, bytes.length)).data, 'the same bytes');
      if (here.result === 'failed') return here;
      transmission.disconnect();
      await transmission.channel.ending();
      return sameBytes(bytes, (await (await trial.open()).read(offset, bytes.length)).data, 'the same bytes');
    }),
  ),
  smallest: writing(
    should(
      'Size constraints',
      'writes as little as the minimum block size, and nothing beside it',
      async (trial) => {
        needWritable(trial);
        const bytes = trial.minimumBytes;
        const { offset } = trial.region(trial.blockBytes);
        const transmission = await trial.open();
        const whole = pattern(trial.blockBytes, 2);
        await transmission.write(offset, whole);
        const at = Math.floor(trial.blockBytes / bytes / 2) * bytes;
        const part = pattern(bytes, 3);
        const written = await transmission.write(offset + BigInt(at), part);
        if (written.error !== 0) return failed(`${bytes} bytes: ${describeError(written)}`);
        part.copy(whole, at);
        return sameBytes(whole, (await transmission.read(offset, whole.length)).data, `${bytes} bytes`);
      },
    ),
  ),
  depth: writing(
    must(ORDER, `keeps ${DEPTH} writes sent at once apart`, async (trial) => {
      needWritable(trial);
      const bytes = trial.blockBytes;
      const { offset } = trial.region(bytes * DEPTH);
      const transmission = await trial.open();
      const at = (i: number) => offset + BigInt(i * bytes);
      const calls = Array.from({ length: DEPTH }, (_, i) => i);
      const answers = await transmission.callAll(
        calls.map((i) => ({ type: Command.WRITE, offset: at(i), payload: pattern(bytes, 10 + i) })),
      );
      const wrong = answers.find(({ error }) => error !== 0);
      if (wrong !== undefined) return failed(describeError(wrong));
      for (const i of calls) {
        const found = sameBytes(pattern(bytes, 10 + i), (await transmission.read(at(i), bytes)).data, '');
        if (found.result === 'failed') return failed(`write ${i}: ${found.seen}`);
      }
      return passed(`${DEPTH} blocks`);
    }),
  ),
  'disconnect-last': writing(
    must('NBD_CMD_DISC', 'loses no write before DISC, unless it replies with an error', async (trial) => {
      needWritable(trial);
      const { offset } = trial.region();
      const bytes = pattern(trial.blockBytes, 30);
      const transmission = await trial.open();
      const message = transmission.prepare({ type: Command.WRITE, offset, payload: bytes });
      transmission.channel.send(Buffer.concat([message, transmission.disconnectMessage()]));
      const written = await answerOrClosed(transmission);
      if (written !== undefined && written.error !== 0) return passed(`replied ${describeError(written)}`);
      const { closed } = await transmission.channel.ending();
      if (!closed) return failed('stayed open');
      return eventually(trial, async () => {
        const { data } = await (await trial.open()).read(offset, bytes.length);
        return sameBytes(bytes, data, written === undefined ? 'written without a reply' : 'written');
      });
    }),
  ),
  largest: writing(
    should('Size constraints', 'writes as much as the largest payload, or 32 MiB', async (trial) => {
      needWritable(trial);
      const bytes = Math.min(trial.facts.blockSizes?.payloadMax ?? PAYLOAD_BYTES_USUAL, PAYLOAD_BYTES_USUAL);
      const { offset } = trial.region(bytes);
      const payload = Buffer.alloc(bytes, pattern(trial.blockBytes, 4));
      const transmission = await trial.open();
      const written = await transmission.write(offset, payload);
      if (written.error !== 0) return failed(`${bytes} bytes: ${describeError(written)}`);
      return sameBytes(payload, (await transmission.read(offset, bytes)).data, `${bytes} bytes`);
    }),
  ),
  'too-large': writing(
    should(
      'Size constraints',
      'does not hang up on a WRITE over its largest payload, up to 32 MiB',
      async (trial) => {
        needWritable(trial);
        const payloadMax = trial.facts.blockSizes?.payloadMax ?? PAYLOAD_BYTES_USUAL;
        need(payloadMax < PAYLOAD_BYTES_USUAL, 'the largest payload is 32 MiB or more');
        const { offset } = trial.region(PAYLOAD_BYTES_USUAL);
        const call = { type: Command.WRITE, offset, payload: Buffer.alloc(PAYLOAD_BYTES_USUAL, 0x49) };
        return expectAnswer(trial, await trial.open(), call);
      },
    ),
  ),
  fua: writing(
    must('Command flags', 'accepts WRITE with FUA when it is advertised', async (trial) => {
      needWritable(trial);
      trial.needFlag(ExportFlag.SEND_FUA, 'SEND_FUA');
      const { offset } = trial.region();
      const payload = pattern(trial.blockBytes, 5);
      const call = { type: Command.WRITE, offset, payload, flags: CommandFlag.FUA };
      return expectReply(trial, await trial.open(), call, Errno.NONE);
    }),
  ),
  'multi-conn-flush': writing(
    must(FLAGS, 'shows all connections what was flushed, when CAN_MULTI_CONN is advertised', (trial) => {
      trial.needFlag(ExportFlag.SEND_FLUSH, 'SEND_FLUSH');
      return seenElsewhere(trial, 6, 0, true);
    }),
  ),
  'multi-conn-fua': writing(
    must(
      FLAGS,
      'shows all connections what was written with FUA, when CAN_MULTI_CONN is advertised',
      (trial) => {
        trial.needFlag(ExportFlag.SEND_FUA, 'SEND_FUA');
        return seenElsewhere(trial, 7, CommandFlag.FUA, false);
      },
    ),
  ),
  nothing: writing(
    should(WRITE, 'does not hang up on a WRITE of length 0', async (trial) => {
      needWritable(trial);
      const { offset } = trial.region();
      const transmission = await trial.open();
      return expectAnswer(trial, transmission, { type: Command.WRITE, offset, length: 0n });
    }),
  ),
  'unknown-flag': writing(
    should(
      ERRORS,
      'replies EINVAL to a WRITE with an unknown flag, and reads past its payload',
      async (trial) => {
        needWritable(trial);
        const { offset } = trial.region();
        const payload = pattern(trial.blockBytes, 8);
        const call = { type: Command.WRITE, offset, payload, flags: UNKNOWN_COMMAND_FLAG };
        return expectReply(trial, await trial.open(), call, Errno.EINVAL);
      },
    ),
  ),
  'fua-not-advertised': writing(
    should(ERRORS, 'replies EINVAL to a WRITE with FUA when it is not advertised', async (trial) => {
      needWritable(trial);
      need((trial.facts.flags & ExportFlag.SEND_FUA) === 0, 'SEND_FUA is advertised');
      const { offset } = trial.region();
      const payload = pattern(trial.blockBytes, 9);
      const call = { type: Command.WRITE, offset, payload, flags: CommandFlag.FUA };
      return expectReply(trial, await trial.open(), call, Errno.EINVAL);
    }),
  ),
  'past-end': writing(
    should(ERRORS, 'replies ENOSPC to a WRITE past the end', async (trial) => {
      needWritable(trial);
      trial.region();
      const call = { type: Command.WRITE, offset: trial.pastEnd, payload: pattern(trial.blockBytes, 40) };
      return expectReply(trial, await trial.open(), call, Errno.ENOSPC);
    }),
  ),
  'across-end': writing(
    should(ERRORS, 'replies ENOSPC to a WRITE across the end, and writes nothing', async (trial) => {
      needWritable(trial);
      const { offset, length } = trial.region();
      need(offset + length === trial.facts.size, 'the region does not reach the end of the export');
      const at = trial.end - BigInt(trial.blockBytes);
      const transmission = await trial.open();
      const before = pattern(trial.blockBytes, 41);
      await transmission.write(at, before);
      const payload = pattern(2 * trial.blockBytes, 42);
      const reply = await expectReply(
        trial,
        transmission,
        { type: Command.WRITE, offset: at, payload },
        Errno.ENOSPC,
      );
      if (reply.result === 'failed') return reply;
      return sameBytes(before, (await transmission.read(at, before.length)).data, reply.seen);
    }),
  ),
  unaligned: writing(
    should(ERRORS, 'replies EINVAL to a WRITE between blocks', async (trial) => {
      needWritable(trial);
      const bytes = trial.minimumBytes;
      need(bytes > 1, 'the minimum block size is 1');
      const offset = trial.region(2 * bytes).offset + BigInt(bytes / 2);
      const call = { type: Command.WRITE, offset, payload: pattern(bytes, 43) };
      return expectReply(trial, await trial.open(), call, Errno.EINVAL);
    }),
  ),
  'gone-in-payload': writing(
    implied(
      'Terminating the transmission phase',
      'bears a client that leaves within a payload',
      async (trial) => {
        needWritable(trial);
        const { offset } = trial.region();
        const transmission = await trial.open();
        const payload = pattern(trial.blockBytes, 44);
        const request = {
          type: Command.WRITE,
          flags: 0,
          cookie: 1n,
          offset,
          length: BigInt(payload.length),
          payload,
        };
        transmission.channel.send(requestMessage(request, false).subarray(0, -16));
        transmission.channel.drop();
        await trial.expectServing();
        return passed('other clients are served');
      },
    ),
  ),
  'read-only': writing(
    must(FLAGS, 'lets no WRITE succeed on a read-only export', (trial) =>
      onReadOnly(trial, Command.WRITE, ...ANY_ERROR),
    ),
  ),
  'read-only-write': writing(
    should(ERRORS, 'replies EPERM to a WRITE on a read-only export', (trial) =>
      onReadOnly(trial, Command.WRITE, Errno.EPERM),
    ),
  ),
  'read-only-trim': writing(
    should(ERRORS, 'replies EPERM to a TRIM on a read-only export', (trial) =>
      onReadOnly(trial, Command.TRIM, Errno.EPERM),
    ),
  ),
  'read-only-zeroes': writing(
    should('NBD_CMD_WRITE_ZEROES', 'replies EPERM to WRITE_ZEROES on a read-only export', (trial) =>
      onReadOnly(trial, Command.WRITE_ZEROES, Errno.EPERM),
    ),
  ),
});

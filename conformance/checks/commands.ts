// Commands that change nothing: reads of all kinds, and requests that have to fail.
import type { Call } from '../client/transmission.ts';
import {
  Command,
  CommandFlag,
  Errno,
  ExportFlag,
  errnoName,
  PAYLOAD_BYTES_USUAL,
  UNKNOWN_COMMAND,
  UNKNOWN_COMMAND_FLAG,
} from '../protocol/numbers.ts';
import { Closed } from '../protocol/violation.ts';
import { area, failed, must, need, passed, should, verdict } from '../suite/check.ts';
import type { Trial } from '../suite/trial.ts';
import { describeError, expectAnswer, expectReply, repliedWith, sameBytes } from './expect.ts';

const ERRORS = 'Error values';
const READ = 'NBD_CMD_READ';
const CACHE = 'NBD_CMD_CACHE';
const SIZES = 'Size constraints';
const FLAGS = 'Command flags';

const READ_BLOCK = (trial: Trial): Call => ({ type: Command.READ, length: BigInt(trial.blockBytes) });

/** The largest payload, as advertised or as it is by default. */
function payloadMax({ facts }: Trial): number {
  return Math.min(facts.blockSizes?.payloadMax ?? PAYLOAD_BYTES_USUAL, PAYLOAD_BYTES_USUAL);
}

function needCoarseBlocks(trial: Trial): number {
  need(trial.minimumBytes > 1, 'the minimum block size is 1');
  return trial.minimumBytes;
}

/** A request that ought to fail with EINVAL, on a fresh connection that has to go on. */
async function invalid(trial: Trial, call: Call) {
  return expectReply(trial, await trial.open(), call, Errno.EINVAL);
}

export const commands = area('commands', {
  read: must('Baseline', 'replies to READ with its cookie and all its bytes', async (trial) =>
    repliedWith(await (await trial.open()).read(0n, trial.blockBytes), Errno.NONE),
  ),
  'read-last': must('Baseline', 'reads the last block', async (trial) => {
    const bytes = trial.blockBytes;
    return repliedWith(await (await trial.open()).read(trial.end - BigInt(bytes), bytes), Errno.NONE);
  }),
  'read-smallest': should(SIZES, 'reads as little as the minimum block size', async (trial) => {
    const bytes = trial.minimumBytes;
    const transmission = await trial.open();
    const whole = await transmission.read(0n, trial.blockBytes);
    const part = await transmission.read(BigInt(trial.blockBytes - bytes), bytes);
    if (part.error !== 0) return failed(`${bytes} bytes: ${describeError(part)}`);
    return sameBytes(whole.data.subarray(-bytes), part.data, `${bytes} bytes`);
  }),
  'read-largest': should(SIZES, 'reads as much as the largest payload, or 32 MiB', async (trial) => {
    const bytesMax = Math.min(payloadMax(trial), Number(trial.end));
    const bytes = bytesMax - (bytesMax % trial.blockBytes);
    const { error } = await (await trial.open()).read(0n, bytes);
    return verdict(error === 0, `${bytes} bytes: ${errnoName(error)}`);
  }),
  'read-too-large': should(
    SIZES,
    'does not hang up on a READ over its largest payload, up to 32 MiB',
    async (trial) => {
      const bytes = Math.min(PAYLOAD_BYTES_USUAL, Number(trial.end));
      need(bytes > payloadMax(trial), 'no such READ lies within the export');
      return expectAnswer(trial, await trial.open(), { type: Command.READ, length: BigInt(bytes) });
    },
  ),
  'read-nothing': should(READ, 'does not hang up on a READ of length 0', async (trial) =>
    expectAnswer(trial, await trial.open(), { type: Command.READ }),
  ),
  'read-past-end': should(ERRORS, 'replies EINVAL to a READ past the end', (trial) =>
    invalid(trial, { ...READ_BLOCK(trial), offset: trial.end }),
  ),
  'read-across-end': should(ERRORS, 'replies EINVAL to a READ across the end', (trial) => {
    const bytes = trial.blockBytes;
    return invalid(trial, {
      type: Command.READ,
      offset: trial.end - BigInt(bytes),
      length: BigInt(2 * bytes),
    });
  }),
  'read-far-past-end': should(ERRORS, 'replies EINVAL to a READ whose end is past 2^64', (trial) =>
    invalid(trial, { ...READ_BLOCK(trial), offset: 2n ** 64n - BigInt(trial.blockBytes) }),
  ),
  'read-failed-without-data': must(READ, 'sends no data after the error of a READ', async (trial) => {
    const transmission = await trial.open();
    const answer = await transmission.call({ ...READ_BLOCK(trial), offset: trial.end });
    need(answer.error !== 0, 'a READ past the end does not fail');
    try {
      await trial.expectAlive(transmission);
    } catch (error) {
      if (error instanceof Closed) return passed(`${describeError(answer)}, then closed the connection`);
      throw error;
    }
    return passed(describeError(answer));
  }),
  'unaligned-offset': should(ERRORS, 'replies EINVAL to an offset between blocks', (trial) => {
    const minimum = needCoarseBlocks(trial);
    return invalid(trial, { type: Command.READ, offset: BigInt(minimum / 2), length: BigInt(minimum) });
  }),
  'unaligned-length': should(ERRORS, 'replies EINVAL to a length between blocks', (trial) =>
    invalid(trial, { type: Command.READ, length: BigInt(needCoarseBlocks(trial) / 2) }),
  ),
  'unknown-command': should(ERRORS, 'replies EINVAL to an unknown command', (trial) =>
    invalid(trial, { type: UNKNOWN_COMMAND }),
  ),
  'unknown-flag': should(ERRORS, 'replies EINVAL to an unknown command flag', (trial) =>
    invalid(trial, { ...READ_BLOCK(trial), flags: UNKNOWN_COMMAND_FLAG }),
  ),
  'flag-of-other-command': should(ERRORS, 'replies EINVAL to the flag of another command', (trial) =>
    invalid(trial, { ...READ_BLOCK(trial), flags: CommandFlag.REQ_ONE }),
  ),
  'df-without-structured': should(ERRORS, 'replies EINVAL to DF without structured replies', (trial) =>
    invalid(trial, { ...READ_BLOCK(trial), flags: CommandFlag.DF }),
  ),
  'fua-not-advertised': should(ERRORS, 'replies EINVAL to FUA when it is not advertised', (trial) => {
    need((trial.facts.flags & ExportFlag.SEND_FUA) === 0, 'SEND_FUA is advertised');
    return invalid(trial, { ...READ_BLOCK(trial), flags: CommandFlag.FUA });
  }),
  'fua-on-read': must(FLAGS, 'accepts FUA on READ when it is advertised', async (trial) => {
    trial.needFlag(ExportFlag.SEND_FUA, 'SEND_FUA');
    const call = { ...READ_BLOCK(trial), flags: CommandFlag.FUA };
    return expectReply(trial, await trial.open(), call, Errno.NONE);
  }),
  'fua-on-flush': must(FLAGS, 'accepts FUA on FLUSH when both are advertised', async (trial) => {
    trial.needFlag(ExportFlag.SEND_FUA, 'SEND_FUA');
    trial.needFlag(ExportFlag.SEND_FLUSH, 'SEND_FLUSH');
    const call = { type: Command.FLUSH, flags: CommandFlag.FUA };
    return expectReply(trial, await trial.open(), call, Errno.NONE);
  }),
  flush: must('Transmission flags', 'serves FLUSH when it is advertised', async (trial) => {
    trial.needFlag(ExportFlag.SEND_FLUSH, 'SEND_FLUSH');
    return expectReply(trial, await trial.open(), { type: Command.FLUSH }, Errno.NONE);
  }),
  cache: must(CACHE, 'reads the same before and after CACHE', async (trial) => {
    trial.needFlag(ExportFlag.SEND_CACHE, 'SEND_CACHE');
    const transmission = await trial.open();
    const before = await transmission.read(0n, trial.blockBytes);
    const answer = await transmission.call({ ...READ_BLOCK(trial), type: Command.CACHE });
    const after = await transmission.read(0n, trial.blockBytes);
    return sameBytes(before.data, after.data, `CACHE: ${describeError(answer)}`);
  }),
  'cache-unknown-flag': must(CACHE, 'refuses CACHE with an unknown flag', async (trial) => {
    trial.needFlag(ExportFlag.SEND_CACHE, 'SEND_CACHE');
    const transmission = await trial.open();
    const call = { ...READ_BLOCK(trial), type: Command.CACHE, flags: UNKNOWN_COMMAND_FLAG };
    const answer = await transmission.call(call);
    return verdict(answer.error !== 0, `replied ${describeError(answer)}`);
  }),
  'status-without-context': should(
    'Metadata querying',
    'replies EINVAL to BLOCK_STATUS without a context',
    (trial) => invalid(trial, { ...READ_BLOCK(trial), type: Command.BLOCK_STATUS }),
  ),
  'error-values': must(ERRORS, 'uses only the error values of the protocol', async (trial) => {
    const transmission = await trial.open();
    const calls = [{ type: UNKNOWN_COMMAND }, { ...READ_BLOCK(trial), offset: trial.end }];
    const errors: number[] = [];
    for (const call of calls) errors.push((await transmission.call(call)).error);
    const known: readonly number[] = Object.values(Errno);
    return verdict(
      errors.every((error) => known.includes(error)),
      errors.map(errnoName).join(', '),
    );
  }),
});

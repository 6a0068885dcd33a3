// TRIM and WRITE_ZEROES. Only in the region that the user gave.
import type { Transmission } from '../client/transmission.ts';
import {
  ALLOCATION,
  Command,
  CommandFlag,
  Errno,
  ExportFlag,
  Extent,
  PAYLOAD_BYTES_USUAL,
} from '../protocol/numbers.ts';
import { area, type Finding, failed, implied, must, need, should, verdict, writing } from '../suite/check.ts';
import type { Trial } from '../suite/trial.ts';
import {
  describeError,
  difference,
  expectAnswer,
  expectReply,
  needWritable,
  pattern,
  repliedWith,
  sameBytes,
} from './expect.ts';

const ZEROES = 'NBD_CMD_WRITE_ZEROES';
const TRIM = 'NBD_CMD_TRIM';
const ERRORS = 'Error values';

function needTrim(trial: Trial): void {
  needWritable(trial);
  trial.needFlag(ExportFlag.SEND_TRIM, 'SEND_TRIM');
}

function needZeroes(trial: Trial): void {
  needWritable(trial);
  trial.needFlag(ExportFlag.SEND_WRITE_ZEROES, 'SEND_WRITE_ZEROES');
}

/** Three blocks of data, of which the middle one is to change. */
async function prepare(trial: Trial, transmission: Transmission, seed: number) {
  const bytes = trial.blockBytes;
  const { offset } = trial.region(3 * bytes);
  const data = pattern(3 * bytes, seed);
  const written = await transmission.write(offset, data);
  need(written.error === 0, `WRITE fails: ${describeError(written)}`);
  return { bytes, offset, data, middle: { offset: offset + BigInt(bytes), length: BigInt(bytes) } };
}

/** The middle of three blocks becomes zero, its neighbours stay. */
async function zeroMiddle(trial: Trial, seed: number, flags: number): Promise<Finding> {
  needZeroes(trial);
  const transmission = await trial.open();
  const { bytes, offset, data, middle } = await prepare(trial, transmission, seed);
  const answer = await transmission.call({ type: Command.WRITE_ZEROES, ...middle, flags });
  if (answer.error !== 0) return failed(describeError(answer));
  data.fill(0, bytes, 2 * bytes);
  return sameBytes(
    data,
    (await transmission.read(offset, data.length)).data,
    'zeroes, and the neighbours as before',
  );
}

export const trim = area('trim', {
  accepted: writing(
    must(
      'Transmission flags',
      'serves TRIM when it is advertised, and changes nothing beside',
      async (trial) => {
        needTrim(trial);
        const transmission = await trial.open();
        const { bytes, offset, data, middle } = await prepare(trial, transmission, 50);
        const answer = await transmission.call({ type: Command.TRIM, ...middle });
        if (answer.error !== 0) return failed(describeError(answer));
        const found = (await transmission.read(offset, data.length)).data;
        const wrong = difference(data.subarray(0, bytes), found.subarray(0, bytes));
        const after = difference(data.subarray(2 * bytes), found.subarray(2 * bytes));
        return verdict(
          wrong === undefined && after === undefined,
          wrong ?? after ?? 'the neighbours are as before',
        );
      },
    ),
  ),
  fua: writing(
    must('Command flags', 'accepts TRIM with FUA when both are advertised', async (trial) => {
      needTrim(trial);
      trial.needFlag(ExportFlag.SEND_FUA, 'SEND_FUA');
      const { offset } = trial.region();
      const call = { type: Command.TRIM, offset, length: BigInt(trial.blockBytes), flags: CommandFlag.FUA };
      return expectReply(trial, await trial.open(), call, Errno.NONE);
    }),
  ),
  'write-again': writing(
    must(TRIM, 'reads what was written after TRIM', async (trial) => {
      needTrim(trial);
      const transmission = await trial.open();
      const { bytes, middle } = await prepare(trial, transmission, 51);
      await transmission.call({ type: Command.TRIM, ...middle });
      const data = pattern(bytes, 52);
      const written = await transmission.write(middle.offset, data);
      if (written.error !== 0) return failed(`WRITE: ${describeError(written)}`);
      return sameBytes(data, (await transmission.read(middle.offset, bytes)).data, 'the same bytes');
    }),
  ),
  nothing: writing(
    should(TRIM, 'does not hang up on a TRIM of length 0', async (trial) => {
      needTrim(trial);
      const { offset } = trial.region();
      return expectAnswer(trial, await trial.open(), { type: Command.TRIM, offset });
    }),
  ),
  'past-end': writing(
    should(ERRORS, 'replies EINVAL to a TRIM past the end', async (trial) => {
      needTrim(trial);
      trial.region();
      const call = { type: Command.TRIM, offset: trial.pastEnd, length: BigInt(trial.blockBytes) };
      return expectReply(trial, await trial.open(), call, Errno.EINVAL);
    }),
  ),
  'not-applicable-flag': writing(
    should(ERRORS, 'replies EINVAL to a TRIM with NO_HOLE', async (trial) => {
      needTrim(trial);
      const { offset } = trial.region();
      const call = {
        type: Command.TRIM,
        offset,
        length: BigInt(trial.blockBytes),
        flags: CommandFlag.NO_HOLE,
      };
      return expectReply(trial, await trial.open(), call, Errno.EINVAL);
    }),
  ),
});

export const zeroes = area('zeroes', {
  zero: writing(
    must(ZEROES, 'reads zeroes after WRITE_ZEROES, and changes nothing beside', (trial) =>
      zeroMiddle(trial, 60, 0),
    ),
  ),
  'no-hole': writing(
    must('Command flags', 'supports NO_HOLE', (trial) => zeroMiddle(trial, 61, CommandFlag.NO_HOLE)),
  ),
  fua: writing(
    must('Command flags', 'accepts WRITE_ZEROES with FUA when both are advertised', (trial) => {
      trial.needFlag(ExportFlag.SEND_FUA, 'SEND_FUA');
      return zeroMiddle(trial, 62, CommandFlag.FUA);
    }),
  ),
  'not-a-hole': writing(
    implied(ZEROES, 'does not call it a hole after NO_HOLE', async (trial) => {
      needZeroes(trial);
      need(
        trial.facts.structured && trial.facts.contexts.includes(ALLOCATION),
        `the server has no ${ALLOCATION}`,
      );
      const transmission = await trial.open({ structured: true, contexts: [ALLOCATION] });
      const { middle } = await prepare(trial, transmission, 63);
      const zeroed = await transmission.call({
        type: Command.WRITE_ZEROES,
        ...middle,
        flags: CommandFlag.NO_HOLE,
      });
      need(zeroed.error === 0, 'WRITE_ZEROES with NO_HOLE fails');
      const answer = await transmission.call({
        type: Command.BLOCK_STATUS,
        ...middle,
        flags: CommandFlag.REQ_ONE,
      });
      if (answer.error !== 0) return failed(describeError(answer));
      const { flags } = answer.statuses[0].extents[0];
      return verdict((flags & BigInt(Extent.HOLE)) === 0n, `status ${flags}`);
    }),
  ),
  'not-zero-after-write': writing(
    must('base:allocation metadata context', 'does not call written data zero', async (trial) => {
      needWritable(trial);
      need(
        trial.facts.structured && trial.facts.contexts.includes(ALLOCATION),
        `the server has no ${ALLOCATION}`,
      );
      const transmission = await trial.open({ structured: true, contexts: [ALLOCATION] });
      const { middle } = await prepare(trial, transmission, 64);
      const answer = await transmission.call({
        type: Command.BLOCK_STATUS,
        ...middle,
        flags: CommandFlag.REQ_ONE,
      });
      if (answer.error !== 0) return failed(describeError(answer));
      const { flags } = answer.statuses[0].extents[0];
      return verdict((flags & BigInt(Extent.ZERO)) === 0n, `status ${flags}`);
    }),
  ),
  fast: writing(
    must(ZEROES, 'with FAST_ZERO: zeroes, or ENOTSUP', async (trial) => {
      needZeroes(trial);
      trial.needFlag(ExportFlag.SEND_FAST_ZERO, 'SEND_FAST_ZERO');
      const transmission = await trial.open();
      const { bytes, middle } = await prepare(trial, transmission, 65);
      const answer = await transmission.call({
        type: Command.WRITE_ZEROES,
        ...middle,
        flags: CommandFlag.FAST_ZERO,
      });
      if (answer.error !== 0) return repliedWith(answer, Errno.ENOTSUP);
      return sameBytes(Buffer.alloc(bytes), (await transmission.read(middle.offset, bytes)).data, 'zeroes');
    }),
  ),
  'fast-refused': writing(
    should(ZEROES, 'changes nothing where it refuses FAST_ZERO', async (trial) => {
      needZeroes(trial);
      trial.needFlag(ExportFlag.SEND_FAST_ZERO, 'SEND_FAST_ZERO');
      const transmission = await trial.open();
      const { bytes, data, middle } = await prepare(trial, transmission, 66);
      const answer = await transmission.call({
        type: Command.WRITE_ZEROES,
        ...middle,
        flags: CommandFlag.FAST_ZERO,
      });
      need(answer.error === Errno.ENOTSUP, 'FAST_ZERO is not refused');
      const found = (await transmission.read(middle.offset, bytes)).data;
      return sameBytes(data.subarray(bytes, 2 * bytes), found, 'the data are as before');
    }),
  ),
  'fast-not-advertised': writing(
    should(ZEROES, 'replies EINVAL to FAST_ZERO when it is not advertised', async (trial) => {
      needZeroes(trial);
      need((trial.facts.flags & ExportFlag.SEND_FAST_ZERO) === 0, 'SEND_FAST_ZERO is advertised');
      const { offset } = trial.region();
      const call = {
        type: Command.WRITE_ZEROES,
        offset,
        length: BigInt(trial.blockBytes),
        flags: CommandFlag.FAST_ZERO,
      };
      return expectReply(trial, await trial.open(), call, Errno.EINVAL);
    }),
  ),
  nothing: writing(
    should(ZEROES, 'does not hang up on WRITE_ZEROES of length 0', async (trial) => {
      needZeroes(trial);
      const { offset } = trial.region();
      return expectAnswer(trial, await trial.open(), { type: Command.WRITE_ZEROES, offset });
    }),
  ),
  'past-end': writing(
    should(ZEROES, 'replies ENOSPC to WRITE_ZEROES past the end', async (trial) => {
      needZeroes(trial);
      trial.region();
      const call = { type: Command.WRITE_ZEROES, offset: trial.pastEnd, length: BigInt(trial.blockBytes) };
      return expectReply(trial, await trial.open(), call, Errno.ENOSPC);
    }),
  ),
  'over-payload': writing(
    should('Size constraints', 'does not hang up on WRITE_ZEROES over the largest payload', async (trial) => {
      needZeroes(trial);
      const payloadMax = trial.facts.blockSizes?.payloadMax ?? PAYLOAD_BYTES_USUAL;
      const length = payloadMax + trial.blockBytes;
      const { offset } = trial.region(length);
      const call = { type: Command.WRITE_ZEROES, offset, length: BigInt(length) };
      const transmission = await trial.open();
      const answer = await transmission.call(call);
      await trial.expectAlive(transmission);
      const allowed: readonly number[] = [Errno.NONE, Errno.EOVERFLOW, Errno.EINVAL];
      return verdict(allowed.includes(answer.error), `${length} bytes: ${describeError(answer)}`);
    }),
  ),
});

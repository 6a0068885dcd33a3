// Servers that are wrong in commands that change the export.
import {
  Command,
  CommandFlag,
  Errno,
  ExportFlag,
  UNKNOWN_COMMAND_FLAG,
} from '../../../conformance/protocol/numbers.ts';
import { errorReplies } from '../tiny-commands.ts';
import { statusFlaw } from './contexts.ts';
import {
  altering,
  type Flaws,
  failing,
  hangingUpOn,
  hasFlag,
  isEmpty,
  longerThan,
  pretending,
  USUAL_FLAGS,
} from './flaw.ts';

const MEBIBYTE = 1024 * 1024;
const SIZE = 4n * 1024n * 1024n;
const readOnly = { flags: USUAL_FLAGS | ExportFlag.READ_ONLY };
const withoutFua = { flags: USUAL_FLAGS & ~ExportFlag.SEND_FUA };
const withoutFastZero = { flags: USUAL_FLAGS & ~ExportFlag.SEND_FAST_ZERO };

export const writeFlaws: Flaws = {
  'writes/read-back': { server: 'does not write', wrong: pretending(Command.WRITE) },
  'writes/smallest': {
    server: 'loses what lies beside a small write',
    wrong: altering(Command.WRITE, ({ offset, length }, right, { bytes }) => {
      if (length < 512n) bytes.fill(0, Number(offset) + 1, Number(offset) + 512);
      return right;
    }),
  },
  'writes/depth': {
    server: 'loses one of many writes',
    wrong: pretending(Command.WRITE, ({ state }) => state.requests === 4),
  },
  'writes/disconnect-last': {
    server: 'loses a write before DISC',
    silent: true,
    wrong: pretending(Command.WRITE),
  },
  'writes/largest': {
    server: 'writes less at once than it says',
    wrong: failing(Command.WRITE, Errno.EINVAL, longerThan(512 * 1024)),
  },
  'writes/too-large': {
    server: 'hangs up on a WRITE over its largest payload',
    settings: { sizeBytes: 33 * MEBIBYTE },
    wrong: hangingUpOn(Command.WRITE, longerThan(MEBIBYTE)),
  },
  'writes/fua': {
    server: 'minds FUA that it advertises',
    wrong: failing(Command.WRITE, Errno.EINVAL, hasFlag(CommandFlag.FUA)),
  },
  'writes/multi-conn-flush': {
    server: 'keeps what a connection read, whatever others flush',
    wrong: pretending(Command.READ, ({ state }) => state.requests > 1),
  },
  'writes/multi-conn-fua': {
    server: 'keeps what a connection read, whatever others write with FUA',
    wrong: pretending(Command.READ, ({ state }) => state.requests > 1),
  },
  'writes/nothing': { server: 'hangs up on an empty WRITE', wrong: hangingUpOn(Command.WRITE, isEmpty) },
  'writes/unknown-flag': {
    server: 'ignores unknown flags of WRITE',
    wrong: pretending(Command.WRITE, hasFlag(UNKNOWN_COMMAND_FLAG)),
  },
  'writes/fua-not-advertised': {
    server: 'ignores FUA on WRITE',
    settings: withoutFua,
    wrong: pretending(Command.WRITE, hasFlag(CommandFlag.FUA)),
  },
  'writes/past-end': {
    server: 'calls a WRITE past the end invalid',
    wrong: failing(Command.WRITE, Errno.EINVAL, ({ offset }) => offset >= SIZE),
  },
  'writes/across-end': {
    server: 'writes the part before the end',
    wrong: altering(Command.WRITE, ({ offset, length, payload }, right, { bytes }) => {
      if (offset + length > SIZE) payload.copy(bytes, Number(offset));
      return right;
    }),
  },
  'writes/unaligned': {
    server: 'writes between its blocks',
    settings: { minimumBytes: 512 },
    wrong: pretending(Command.WRITE, ({ offset }) => offset % 512n !== 0n),
  },
  'writes/gone-in-payload': { server: 'ends with a client within a payload', wrong: { fragile: 'request' } },
  'writes/read-only': {
    server: 'writes to a read-only export',
    settings: readOnly,
    wrong: pretending(Command.WRITE),
  },
  'writes/read-only-write': {
    server: 'calls a WRITE on a read-only export invalid',
    settings: readOnly,
    wrong: failing(Command.WRITE, Errno.EINVAL),
  },
  'writes/read-only-trim': {
    server: 'trims a read-only export',
    settings: readOnly,
    wrong: pretending(Command.TRIM),
  },
  'writes/read-only-zeroes': {
    server: 'writes zeroes to a read-only export',
    settings: readOnly,
    wrong: pretending(Command.WRITE_ZEROES),
  },
};

export const zeroFlaws: Flaws = {
  'trim/accepted': {
    server: 'trims what lies beside',
    wrong: altering(Command.TRIM, ({ offset }, right, { bytes }) => {
      bytes.fill(0, Number(offset) - 1, Number(offset));
      return right;
    }),
  },
  'trim/fua': {
    server: 'minds FUA on TRIM',
    wrong: failing(Command.TRIM, Errno.EINVAL, hasFlag(CommandFlag.FUA)),
  },
  'trim/write-again': {
    server: 'loses writes after TRIM',
    wrong: pretending(Command.WRITE, ({ state }) => state.requests === 3),
  },
  'trim/nothing': { server: 'hangs up on an empty TRIM', wrong: hangingUpOn(Command.TRIM, isEmpty) },
  'trim/past-end': { server: 'trims past the end', wrong: pretending(Command.TRIM) },
  'trim/not-applicable-flag': {
    server: 'ignores NO_HOLE on TRIM',
    wrong: pretending(Command.TRIM, hasFlag(CommandFlag.NO_HOLE)),
  },
  'zeroes/zero': { server: 'writes no zeroes', wrong: pretending(Command.WRITE_ZEROES) },
  'zeroes/no-hole': {
    server: 'minds NO_HOLE',
    wrong: failing(Command.WRITE_ZEROES, Errno.EINVAL, hasFlag(CommandFlag.NO_HOLE)),
  },
  'zeroes/fua': {
    server: 'minds FUA on WRITE_ZEROES',
    wrong: failing(Command.WRITE_ZEROES, Errno.EINVAL, hasFlag(CommandFlag.FUA)),
  },
  'zeroes/not-a-hole': { server: 'calls everything a hole', wrong: statusFlaw(1) },
  'zeroes/not-zero-after-write': { server: 'calls everything zero', wrong: statusFlaw(2) },
  'zeroes/fast': { server: 'fails FAST_ZERO with EIO', wrong: failing(Command.WRITE_ZEROES, Errno.EIO) },
  'zeroes/fast-refused': {
    server: 'zeroes in spite of its refusal',
    settings: { slowZeroes: true },
    wrong: altering(Command.WRITE_ZEROES, (request, right, { bytes }) => {
      bytes.fill(0, Number(request.offset), Number(request.offset + request.length));
      return right;
    }),
  },
  'zeroes/fast-not-advertised': {
    server: 'does not support FAST_ZERO, in so many words',
    settings: withoutFastZero,
    wrong: altering(Command.WRITE_ZEROES, (request) => errorReplies(request, Errno.ENOTSUP)),
  },
  'zeroes/nothing': {
    server: 'hangs up on empty WRITE_ZEROES',
    wrong: hangingUpOn(Command.WRITE_ZEROES, isEmpty),
  },
  'zeroes/past-end': {
    server: 'calls WRITE_ZEROES past the end invalid',
    wrong: failing(Command.WRITE_ZEROES, Errno.EINVAL),
  },
  'zeroes/over-payload': {
    server: 'hangs up on long WRITE_ZEROES',
    wrong: hangingUpOn(Command.WRITE_ZEROES, longerThan(MEBIBYTE)),
  },
};

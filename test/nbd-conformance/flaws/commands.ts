// Servers that are wrong in commands that change nothing.
import { u32, u64 } from '../../../conformance/protocol/messages.ts';
import {
  CHUNK_DONE,
  Chunk,
  Command,
  CommandFlag,
  Errno,
  ExportFlag,
  Option,
  Reply,
  UNKNOWN_COMMAND,
  UNKNOWN_COMMAND_FLAG,
} from '../../../conformance/protocol/numbers.ts';
import { dataChunk, doneChunk, errorReplies } from '../tiny-commands.ts';
import type { Replies, Request, SimpleReply } from '../tiny-types.ts';
import {
  altering,
  answering,
  type Flaws,
  failing,
  hangingUpOn,
  hasFlag,
  instead,
  isEmpty,
  longerThan,
  pretending,
  USUAL_FLAGS,
} from './flaw.ts';

const SIZE = 4n * 1024n * 1024n;

const endOf = ({ offset, length }: Request): bigint => offset + length;
const simple = (error: number): Replies => ({ messages: [{ error }] });

export const commandFlaws: Flaws = {
  'commands/read': { server: 'fails to read', wrong: failing(Command.READ, Errno.EIO) },
  'commands/read-last': {
    server: 'fails to read the last block',
    wrong: failing(Command.READ, Errno.EIO, (request) => endOf(request) === SIZE),
  },
  'commands/read-smallest': {
    server: 'reads nothing less than a sector',
    wrong: failing(Command.READ, Errno.EINVAL, ({ length }) => length < 512n),
  },
  'commands/read-largest': {
    server: 'reads less at once than it says',
    wrong: failing(Command.READ, Errno.EINVAL, longerThan(512 * 1024)),
  },
  'commands/read-too-large': {
    server: 'hangs up on a READ over its largest payload',
    wrong: hangingUpOn(Command.READ, longerThan(1024 * 1024)),
  },
  'commands/read-nothing': { server: 'hangs up on an empty READ', wrong: hangingUpOn(Command.READ, isEmpty) },
  'commands/read-past-end': {
    server: 'reads zeroes past the end',
    wrong: pretending(Command.READ, ({ offset }) => offset >= SIZE),
  },
  'commands/read-across-end': {
    server: 'fills reads across the end with zeroes',
    wrong: pretending(Command.READ, (request) => endOf(request) > SIZE),
  },
  'commands/read-far-past-end': {
    server: 'lets the end of a request overflow',
    wrong: pretending(Command.READ, (request) => endOf(request) >= 2n ** 64n),
  },
  'commands/read-failed-without-data': {
    server: 'sends data after an error',
    wrong: altering(Command.READ, ({ length }, { messages }) => {
      const [{ error }] = messages as SimpleReply[];
      return error === 0 ? undefined : { messages: [{ error, data: Buffer.alloc(Number(length)) }] };
    }),
  },
  'commands/unaligned-offset': {
    server: 'reads between its blocks',
    settings: { minimumBytes: 512 },
    wrong: pretending(Command.READ, ({ offset }) => offset % 512n !== 0n),
  },
  'commands/unaligned-length': {
    server: 'reads parts of its blocks',
    settings: { minimumBytes: 512 },
    wrong: pretending(Command.READ, ({ length }) => length % 512n !== 0n),
  },
  'commands/unknown-command': {
    server: 'does not support an unknown command',
    wrong: failing(UNKNOWN_COMMAND, Errno.ENOTSUP),
  },
  'commands/unknown-flag': {
    server: 'ignores unknown flags',
    wrong: pretending(Command.READ, hasFlag(UNKNOWN_COMMAND_FLAG)),
  },
  'commands/flag-of-other-command': {
    server: 'ignores flags of other commands',
    wrong: pretending(Command.READ, hasFlag(CommandFlag.REQ_ONE)),
  },
  'commands/df-without-structured': {
    server: 'ignores DF',
    wrong: pretending(Command.READ, hasFlag(CommandFlag.DF)),
  },
  'commands/fua-not-advertised': {
    server: 'ignores FUA',
    settings: { flags: USUAL_FLAGS & ~ExportFlag.SEND_FUA },
    wrong: pretending(Command.READ, hasFlag(CommandFlag.FUA)),
  },
  'commands/fua-on-read': {
    server: 'minds FUA on READ',
    wrong: failing(Command.READ, Errno.EINVAL, hasFlag(CommandFlag.FUA)),
  },
  'commands/fua-on-flush': {
    server: 'minds FUA on FLUSH',
    wrong: failing(Command.FLUSH, Errno.EINVAL, hasFlag(CommandFlag.FUA)),
  },
  'commands/flush': { server: 'advertises FLUSH and has none', wrong: failing(Command.FLUSH, Errno.EINVAL) },
  'commands/cache': {
    server: 'changes data by CACHE',
    wrong: altering(Command.CACHE, (_request, right, { bytes }) => {
      bytes[0] ^= 1;
      return right;
    }),
  },
  'commands/cache-unknown-flag': {
    server: 'ignores unknown flags of CACHE',
    wrong: pretending(Command.CACHE, hasFlag(UNKNOWN_COMMAND_FLAG)),
  },
  'commands/status-without-context': {
    server: 'has a status without a context',
    wrong: pretending(Command.BLOCK_STATUS),
  },
  'commands/error-values': {
    server: 'tells an error of its operating system',
    wrong: failing(UNKNOWN_COMMAND, 38),
  },
};

/** Cuts a read into chunks of so many bytes. */
function cut(bytes: number) {
  return ({ offset, state }: Request, right: Replies): Replies | undefined => {
    const [first] = right.messages;
    if (!state.structured || !('payload' in first) || first.type !== Chunk.OFFSET_DATA) return undefined;
    const data = first.payload?.subarray(8) ?? Buffer.alloc(0);
    const chunks = Array.from({ length: Math.ceil(data.length / bytes) }, (_, i) =>
      dataChunk(offset + BigInt(i * bytes), data.subarray(i * bytes, (i + 1) * bytes)),
    );
    return { messages: [...chunks, doneChunk] };
  };
}

/** Leaves the last bytes of a read out. */
const short = ({ offset, length, state }: Request): Replies | undefined =>
  state.structured
    ? { messages: [dataChunk(offset, Buffer.alloc(Number(length) - 512)), doneChunk] }
    : undefined;

const STRUCTURED = Option.STRUCTURED_REPLY;

export const structuredFlaws: Flaws = {
  'structured/with-data': {
    server: 'bears data with STRUCTURED_REPLY',
    wrong: answering(STRUCTURED, Reply.ACK, ({ data }) => data.length > 0),
  },
  'structured/read': { server: 'leaves the end of a READ out', wrong: altering(Command.READ, short) },
  'structured/large-read': {
    server: 'sends overlapping chunks of a large READ',
    wrong: altering(Command.READ, ({ offset, length, state }, right) => {
      if (!state.structured || length <= 65_536n) return undefined;
      return { messages: [dataChunk(offset, Buffer.alloc(512)), ...right.messages] };
    }),
  },
  'structured/same-bytes': {
    server: 'has other data in chunks',
    wrong: altering(Command.READ, ({ offset, length, state }) =>
      state.structured
        ? { messages: [dataChunk(offset, Buffer.alloc(Number(length), 7)), doneChunk] }
        : undefined,
    ),
  },
  'structured/sectors': { server: 'cuts reads at odd places', wrong: altering(Command.READ, cut(100_000)) },
  'structured/failed-read': {
    server: 'tells the failure of a READ in a simple reply',
    wrong: instead(Command.READ, hasFlag(UNKNOWN_COMMAND_FLAG), () => simple(Errno.EINVAL)),
  },
  'structured/error-chunk': {
    server: 'tells errors in simple replies',
    wrong: instead(
      UNKNOWN_COMMAND,
      () => true,
      () => simple(Errno.EINVAL),
    ),
  },
  'structured/df': { server: 'cuts reads with DF', wrong: altering(Command.READ, cut(512)) },
  'structured/df-large': {
    server: 'sends data of a large READ with DF before it fails',
    wrong: altering(Command.READ, (request) => {
      if (request.length <= 65_536n || !request.state.structured) return undefined;
      const { messages } = errorReplies(request, Errno.EOVERFLOW);
      return { messages: [dataChunk(request.offset, Buffer.alloc(512)), ...messages] };
    }),
  },
  'structured/df-not-advertised': {
    server: 'takes DF that it does not advertise',
    settings: { df: false },
    wrong: altering(Command.READ, ({ flags, offset, length, state }) =>
      state.structured && (flags & CommandFlag.DF) !== 0
        ? { messages: [dataChunk(offset, Buffer.alloc(Number(length))), doneChunk] }
        : undefined,
    ),
  },
};

const EXTENDED = Option.EXTENDED_HEADERS;

export const extendedFlaws: Flaws = {
  'extended/with-data': {
    server: 'bears data with EXTENDED_HEADERS',
    wrong: answering(EXTENDED, Reply.ACK, ({ data }) => data.length > 0),
  },
  'extended/structured-later': {
    server: 'goes back to structured replies',
    wrong: answering(STRUCTURED, Reply.ACK),
  },
  'extended/go': {
    server: 'has no GO with extended headers',
    wrong: answering(Option.GO, Reply.ERR_UNSUP, ({ state }) => state.extended),
  },
  'extended/go-without': {
    server: 'insists on extended headers',
    wrong: answering(Option.GO, Reply.ERR_EXT_HEADER_REQD, ({ state }) => !state.extended),
  },
  'extended/read': {
    server: 'replies with an offset of its own',
    wrong: altering(Command.READ, ({ state, offset }, { messages }) =>
      state.extended ? { messages: messages.map((one) => ({ ...one, offset: offset + 1n })) } : undefined,
    ),
  },
  'extended/error': {
    server: 'tells errors in simple replies',
    wrong: instead(
      UNKNOWN_COMMAND,
      () => true,
      () => simple(Errno.EINVAL),
    ),
  },
  'extended/flush': {
    server: 'replies to FLUSH in a simple reply',
    wrong: instead(
      Command.FLUSH,
      ({ state }) => state.extended,
      () => simple(0),
    ),
  },
  'extended/unexpected-payload': {
    server: 'hangs up on an unexpected payload',
    wrong: hangingUpOn(Command.READ, hasFlag(CommandFlag.PAYLOAD_LEN)),
  },
  'extended/long-range': {
    server: 'fails a long range with EIO',
    wrong: failing(Command.BLOCK_STATUS, Errno.EIO, longerThan(2 ** 32)),
  },
  'extended/status': {
    server: 'sets upper bits of the status',
    wrong: altering(Command.BLOCK_STATUS, ({ length }) => {
      const payload = Buffer.concat([u32(1), u32(1), u64(length), u64(2n ** 40n)]);
      return { messages: [{ flags: CHUNK_DONE, type: Chunk.BLOCK_STATUS_EXT, payload }] };
    }),
  },
  'extended/chosen-contexts': {
    server: 'advertises payloads of BLOCK_STATUS and takes none',
    wrong: failing(Command.BLOCK_STATUS, Errno.EINVAL, hasFlag(CommandFlag.PAYLOAD_LEN)),
  },
  'extended/unknown-context': {
    server: 'fails an unknown context with EIO',
    wrong: altering(Command.BLOCK_STATUS, (request) => errorReplies(request, Errno.EIO)),
  },
};

/** Reads that a server with mixed-up data has served. */
let served = 0;

export const connectionFlaws: Flaws = {
  'connections/depth': {
    server: 'replies twice to a request',
    wrong: altering(Command.READ, ({ state }, { messages }) =>
      state.requests === 7 ? { messages: [...messages, ...messages] } : undefined,
    ),
  },
  'connections/cookies': {
    server: 'keeps 32 bits of a cookie',
    wrong: altering(Command.READ, ({ cookie }, { messages }) => ({
      messages: messages.map((one) => ({ ...one, cookie: cookie & 0xffff_ffffn })),
    })),
  },
  'connections/right-data': {
    server: 'mixes the data of requests up',
    wrong: altering(Command.READ, ({ length }) => ({
      messages: [{ error: 0, data: Buffer.alloc(Number(length), served++) }],
    })),
  },
  'connections/pieces': { server: 'takes a packet for a request', wrong: { impatient: 'request' } },
  'connections/disconnect': { server: 'ignores DISC', silent: true, wrong: { disconnect: () => {} } },
  'connections/disconnect-last': {
    server: 'closes at DISC before it replied',
    wrong: {
      ...instead(
        Command.READ,
        () => true,
        () => ({ messages: [] }),
      ),
      disconnect: (socket) => socket.destroy(),
    },
  },
  'robustness/beside': { server: 'waits for the rest of a message', silent: true, wrong: { stalls: true } },
  'robustness/gone-in-option': {
    server: 'ends with a client within an option',
    wrong: { fragile: 'option' },
  },
  'robustness/gone-in-request': {
    server: 'ends with a client within a request',
    wrong: { fragile: 'request' },
  },
  'robustness/garbage': { server: 'does not look at the magic', wrong: { anyMagic: true } },
  'robustness/gone-before-replies': {
    server: 'ends when it cannot send a reply',
    wrong: { fragile: 'replies' },
  },
};

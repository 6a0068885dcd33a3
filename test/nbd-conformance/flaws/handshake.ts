// Servers that are wrong before the transmission phase.
import { u16, u32, u64 } from '../../../conformance/protocol/messages.ts';
import {
  ExportFlag,
  Info,
  OLDSTYLE_MAGIC,
  Option,
  Reply,
  UNKNOWN_INFO,
  UNKNOWN_OPTION,
} from '../../../conformance/protocol/numbers.ts';
import { NO_SUCH_EXPORT } from '../../../conformance/suite/facts.ts';
import type { Ask, OptionReply, Outcome } from '../tiny-types.ts';
import { answering, changing, closingOn, type Flaws, refused, USUAL_FLAGS } from './flaw.ts';

const MEBIBYTE = 1024 * 1024;

const someExport = Buffer.concat([u16(Info.EXPORT), u64(4096n), u16(ExportFlag.HAS_FLAGS)]);
const accepted: Outcome = { replies: [{ type: Reply.INFO, data: someExport }, { type: Reply.ACK }] };

/** Takes whatever INFO holds. */
const acceptsAll = changing(Option.INFO, (ask, right) => (refused(ask, right) ? accepted : undefined));
const isPlain = ({ state }: Ask): boolean => !state.secure;
const hasData = ({ data }: Ask): boolean => data.length > 0;
const asksFor =
  (request: number) =>
  ({ data }: Ask): boolean =>
    data.includes(u16(request), 4);
const isUnknown = ({ data }: Ask): boolean => data.includes(NO_SUCH_EXPORT);

/** Changes the replies of INFO and GO that tell of `type`. */
function telling(type: number, change: (data: Buffer) => Buffer) {
  return {
    option: (_ask: Ask, right: Outcome): Outcome => ({
      ...right,
      replies: right.replies.map((reply) => {
        const fits = reply.type === Reply.INFO && reply.data?.readUInt16BE(0) === type;
        return fits && reply.data !== undefined ? { ...reply, data: change(Buffer.from(reply.data)) } : reply;
      }),
    }),
  };
}

const listed = (nameBytes: number, name: string): OptionReply => ({
  type: Reply.SERVER,
  data: Buffer.concat([u32(nameBytes), Buffer.from(name)]),
});

export const handshakeFlaws: Flaws = {
  'handshake/newstyle': {
    server: 'greets in the old style',
    wrong: {
      greeting: (right) => Buffer.concat([right.subarray(0, 8), u64(OLDSTYLE_MAGIC), Buffer.alloc(136)]),
    },
  },
  'handshake/fixed-newstyle': {
    server: 'offers no fixed newstyle',
    wrong: { settings: { handshakeFlags: 2 } },
  },
  'handshake/known-flags': {
    server: 'offers something unheard of',
    wrong: { settings: { handshakeFlags: 7 } },
  },
  'handshake/unknown-client-flag': { server: 'bears any client flag', wrong: { drops: () => false } },
  'handshake/unoffered-client-flag': {
    server: 'bears a client flag that it did not offer',
    settings: { handshakeFlags: 1 },
    wrong: { drops: (flags) => flags > 3 },
  },
  'handshake/no-client-flags': {
    server: 'insists on client flags',
    wrong: { drops: (flags) => flags === 0 },
  },
  'handshake/pieces': { server: 'takes a packet for an option', wrong: { impatient: 'option' } },
  'handshake/flags-with-option': {
    server: 'forgets what came with the client flags',
    silent: true,
    wrong: { flagsAlone: true },
  },
  'options/unknown': {
    server: 'calls an unknown option invalid',
    wrong: answering(UNKNOWN_OPTION, Reply.ERR_INVALID),
  },
  'options/unknown-with-data': {
    server: 'hangs up on an unknown option with data',
    wrong: closingOn(UNKNOWN_OPTION, hasData),
  },
  'options/several': {
    server: 'hangs up at the 10th option',
    wrong: { option: ({ state }) => (state.options === 10 ? { replies: [], next: 'close' } : undefined) },
  },
  'options/many': {
    server: 'hangs up at the 100th option',
    wrong: { option: ({ state }) => (state.options === 100 ? { replies: [], next: 'close' } : undefined) },
  },
  'options/abort': { server: 'hangs up on ABORT without a word', wrong: closingOn(Option.ABORT) },
  'options/abort-with-data': {
    server: 'minds data with ABORT',
    wrong: answering(Option.ABORT, Reply.ERR_INVALID, hasData),
  },
  'options/abort-and-gone': {
    server: 'ends when a client aborts',
    wrong: changing(Option.ABORT, () => ({ replies: [], next: 'down' })),
  },
  'options/list': {
    server: 'lists a name longer than its reply',
    wrong: changing(Option.LIST, () => ({ replies: [listed(9, 'disk'), { type: Reply.ACK }] })),
  },
  'options/list-with-data': {
    server: 'bears data with LIST',
    wrong: answering(Option.LIST, Reply.ACK, hasData),
  },
  'options/list-short-names': {
    server: 'lists a name of 300 bytes',
    wrong: { settings: { exports: ['disk', 'n'.repeat(300)] } },
  },
  'options/list-usable': {
    server: 'lists an export that it does not have',
    wrong: changing(Option.LIST, () => ({ replies: [listed(5, 'ghost'), { type: Reply.ACK }] })),
  },
  'opening/info': {
    server: 'acknowledges INFO without telling the size',
    wrong: answering(Option.INFO, Reply.ACK),
  },
  'opening/info-stays': {
    server: 'opens the export by INFO',
    silent: true,
    wrong: changing(Option.INFO, (_ask, right) => ({ ...right, next: 'transmission' })),
  },
  'opening/unknown-request': {
    server: 'minds an unknown information request',
    wrong: answering(Option.INFO, Reply.ERR_INVALID, asksFor(UNKNOWN_INFO)),
  },
  'opening/info-once': {
    server: 'tells the size twice',
    wrong: changing(Option.INFO, (_ask, { replies }) => ({ replies: [replies[0], ...replies] })),
  },
  'opening/go': { server: 'has no GO', wrong: answering(Option.GO, Reply.ERR_UNSUP) },
  'opening/go-like-info': {
    server: 'tells less in GO than in INFO',
    wrong: changing(Option.GO, (_ask, right) => ({
      ...right,
      replies: [right.replies[0], { type: Reply.ACK }],
    })),
  },
  'opening/go-no-padding': {
    server: 'sends zeroes after GO',
    wrong: changing(Option.GO, (_ask, right) => ({ ...right, after: Buffer.alloc(124) })),
  },
  'opening/go-without-sizes': {
    server: 'insists on telling its usual block sizes',
    settings: { payloadBytesMax: 32 * MEBIBYTE },
    wrong: answering(
      Option.GO,
      Reply.ERR_BLOCK_SIZE_REQD,
      ({ data }) => data.readUInt16BE(data.length - 2) === 0,
    ),
  },
  'opening/sizes-asked-for': {
    server: 'asks for block sizes that were asked for',
    wrong: answering(Option.GO, Reply.ERR_BLOCK_SIZE_REQD),
  },
  'opening/unknown-export': {
    server: 'calls an unknown name invalid',
    wrong: answering(Option.INFO, Reply.ERR_INVALID, isUnknown),
  },
  'opening/go-after-refusal': {
    server: 'hangs up after GO with an unknown name',
    wrong: answering(Option.GO, Reply.ERR_UNKNOWN, isUnknown, 'close'),
  },
  'opening/export-name': {
    server: 'tells another size by EXPORT_NAME',
    wrong: changing(Option.EXPORT_NAME, (_ask, { raw, ...right }) => ({
      ...right,
      raw: Buffer.concat([u64(2n ** 20n), raw?.subarray(8) ?? Buffer.alloc(0)]),
    })),
  },
  'opening/export-name-zeroes': {
    server: 'sends something else than zeroes',
    wrong: changing(Option.EXPORT_NAME, (_ask, { raw, ...right }) => ({
      ...right,
      raw: Buffer.concat([raw?.subarray(0, 10) ?? Buffer.alloc(0), Buffer.alloc(124, 7)]),
    })),
  },
  'opening/export-name-no-zeroes': {
    server: 'sends zeroes to a client that wants none',
    wrong: changing(Option.EXPORT_NAME, (_ask, right) => ({ ...right, after: Buffer.alloc(124) })),
  },
  'opening/export-name-unknown': {
    server: 'says nothing to EXPORT_NAME with an unknown name',
    silent: true,
    wrong: changing(Option.EXPORT_NAME, ({ data }) =>
      data.toString() === NO_SUCH_EXPORT ? { replies: [], next: 'mute' } : undefined,
    ),
  },
  'opening/name-too-long-for-option': { server: 'takes a name longer than its message', wrong: acceptsAll },
  'opening/name-huge-length': { server: 'takes a name of 4 GiB', wrong: acceptsAll },
  'opening/requests-missing': { server: 'does not count the information requests', wrong: acceptsAll },
  'opening/name-longest': {
    server: 'hangs up on a long name',
    wrong: closingOn(Option.INFO, ({ data }) => data.length > 1000),
  },
  'opening/name-over-limit': { server: 'takes a name over the limit', wrong: acceptsAll },
  'opening/name-with-nul': { server: 'takes a name with NUL', wrong: acceptsAll },
  'advertised/has-flags': {
    server: 'does not set HAS_FLAGS',
    wrong: { settings: { flags: USUAL_FLAGS & ~1 } },
  },
  'advertised/fast-zero': {
    server: 'has FAST_ZERO and no WRITE_ZEROES',
    wrong: { settings: { flags: USUAL_FLAGS & ~ExportFlag.SEND_WRITE_ZEROES } },
  },
  'advertised/df': {
    server: 'advertises DF to everybody',
    wrong: { settings: { flags: USUAL_FLAGS | ExportFlag.SEND_DF } },
  },
  'advertised/status-payload': {
    server: 'advertises payloads of BLOCK_STATUS to everybody',
    wrong: { settings: { flags: USUAL_FLAGS | ExportFlag.BLOCK_STATUS_PAYLOAD } },
  },
  'advertised/minimum-block': {
    server: 'has blocks of 3 bytes',
    wrong: telling(Info.BLOCK_SIZE, (data) => Buffer.concat([data.subarray(0, 2), u32(3), data.subarray(6)])),
  },
  'advertised/preferred-block': {
    server: 'prefers blocks of 5000 bytes',
    wrong: telling(Info.BLOCK_SIZE, (data) =>
      Buffer.concat([data.subarray(0, 6), u32(5000), data.subarray(10)]),
    ),
  },
  'advertised/largest-payload': {
    server: 'takes less than a preferred block',
    wrong: { settings: { payloadBytesMax: 2048 } },
  },
  'advertised/largest-payload-mebibyte': {
    server: 'takes 64 KiB at most',
    wrong: { settings: { payloadBytesMax: 65_536 } },
  },
  'advertised/whole-blocks': {
    server: 'ends within a block',
    settings: { minimumBytes: 512 },
    wrong: { settings: { sizeBytes: 4 * MEBIBYTE + 100 } },
  },
};

const forced = { tls: 'forced' } as const;
const offered = { tls: 'offered' } as const;

export const tlsFlaws: Flaws = {
  'tls/refused-politely': {
    server: 'asks for TLS when it is asked for TLS',
    wrong: answering(Option.STARTTLS, Reply.ERR_TLS_REQD),
  },
  'tls/not-required': {
    server: 'asks for TLS that it has not',
    wrong: answering(Option.STRUCTURED_REPLY, Reply.ERR_TLS_REQD),
  },
  'tls/forced-options': {
    server: 'tells of exports before TLS',
    settings: forced,
    secure: true,
    wrong: { option: (ask) => (isPlain(ask) && ask.option === Option.INFO ? accepted : undefined) },
  },
  'tls/forced-abort': {
    server: 'lets nobody abort before TLS',
    settings: forced,
    secure: true,
    wrong: answering(Option.ABORT, Reply.ERR_TLS_REQD, isPlain),
  },
  'tls/forced-export-name': {
    server: 'says nothing to EXPORT_NAME before TLS',
    settings: forced,
    secure: true,
    silent: true,
    wrong: changing(Option.EXPORT_NAME, () => ({ replies: [], next: 'mute' })),
  },
  'tls/selective-options': {
    server: 'asks for TLS where it is optional',
    settings: offered,
    secure: true,
    wrong: answering(Option.STRUCTURED_REPLY, Reply.ERR_TLS_REQD, isPlain),
  },
  'tls/needs-fixed-newstyle': {
    server: 'starts TLS without fixed newstyle',
    settings: forced,
    secure: true,
    wrong: answering(Option.STARTTLS, Reply.ACK, ({ state }) => state.clientFlags === 0),
  },
  'tls/data-with-starttls': {
    server: 'bears data with STARTTLS',
    settings: forced,
    secure: true,
    wrong: answering(Option.STARTTLS, Reply.ACK, hasData),
  },
  'tls/bad-handshake': {
    server: 'stays after a TLS handshake of garbage',
    settings: forced,
    secure: true,
    silent: true,
    wrong: answering(Option.STARTTLS, Reply.ACK, () => true, 'mute'),
  },
  'tls/nothing-before-tls': {
    server: 'answers over TLS what came in the clear',
    settings: forced,
    secure: true,
    wrong: { mixesTls: true },
  },
  'tls/works': {
    server: 'hangs up instead of speaking TLS',
    settings: forced,
    secure: true,
    wrong: answering(Option.STARTTLS, Reply.ACK, () => true, 'close'),
  },
  'tls/second-starttls': {
    server: 'starts TLS within TLS',
    settings: forced,
    secure: true,
    wrong: answering(Option.STARTTLS, Reply.ACK, ({ state }) => state.secure),
  },
  'tls/required-no-more': {
    server: 'asks for TLS over TLS',
    settings: forced,
    secure: true,
    wrong: answering(Option.LIST, Reply.ERR_TLS_REQD),
  },
  'tls/state-dropped': {
    server: 'remembers structured replies from before TLS',
    settings: offered,
    secure: true,
    wrong: changing(Option.STARTTLS, ({ state }) => {
      state.structured = state.options > 1;
      return undefined;
    }),
  },
  'tls/version-1.2': {
    server: 'speaks nothing older than TLS 1.3',
    settings: forced,
    secure: true,
    wrong: { tls: { minVersion: 'TLSv1.3' } },
  },
  'tls/version-1.3': {
    server: 'speaks nothing newer than TLS 1.2',
    settings: forced,
    secure: true,
    wrong: { tls: { maxVersion: 'TLSv1.2' } },
  },
  'tls/version-1.1': {
    server: 'still speaks TLS 1.1',
    settings: forced,
    secure: true,
    wrong: { tls: { minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } },
  },
};

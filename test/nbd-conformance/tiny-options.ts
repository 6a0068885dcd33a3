// The right answers to options.
import { u16, u32, u64 } from '../../conformance/protocol/messages.ts';
import {
  ClientFlag,
  EXPORT_NAME_PADDING_BYTES,
  ExportFlag,
  Info,
  Option,
  Reply,
  STRING_BYTES_MAX,
} from '../../conformance/protocol/numbers.ts';
import type { Ask, OptionReply, Outcome, Settings, State } from './tiny-types.ts';

const ack: Outcome = { replies: [{ type: Reply.ACK }] };
const refuse = (type: number): Outcome => ({ replies: [{ type }] });

/** The transmission flags on a connection. */
export function flagsOf(settings: Settings, { structured, extended, contexts }: State): number {
  const df = settings.df && (structured || extended) ? ExportFlag.SEND_DF : 0;
  const payload = extended && contexts.length > 0 ? ExportFlag.BLOCK_STATUS_PAYLOAD : 0;
  return settings.flags | df | payload;
}

export function rightOutcome(ask: Ask, settings: Settings): Outcome {
  const { option, data, state } = ask;
  const plain = settings.tls === 'forced' && !state.secure;
  if (plain && option === Option.EXPORT_NAME) return { replies: [], next: 'close' };
  if (plain && option !== Option.STARTTLS && option !== Option.ABORT) return refuse(Reply.ERR_TLS_REQD);
  switch (option) {
    case Option.EXPORT_NAME:
      return exportName(ask, settings);
    case Option.ABORT:
      return { ...ack, next: 'close' };
    case Option.LIST:
      return data.length > 0 ? refuse(Reply.ERR_INVALID) : list(settings);
    case Option.STARTTLS:
      return startTls(ask, settings);
    case Option.INFO:
    case Option.GO:
      return info(ask, settings);
    case Option.STRUCTURED_REPLY:
      if (data.length > 0) return refuse(Reply.ERR_INVALID);
      if (state.extended) return refuse(Reply.ERR_EXT_HEADER_REQD);
      state.structured = true;
      return ack;
    case Option.EXTENDED_HEADERS:
      if (!settings.extended) return refuse(Reply.ERR_UNSUP);
      if (data.length > 0) return refuse(Reply.ERR_INVALID);
      state.extended = true;
      return ack;
    case Option.LIST_META_CONTEXT:
    case Option.SET_META_CONTEXT:
      return metaContexts(ask, settings);
    default:
      return refuse(Reply.ERR_UNSUP);
  }
}

function knows({ exports, anyName }: Settings, name: string): boolean {
  return anyName || exports.includes(name);
}

function exportName({ data, state }: Ask, settings: Settings): Outcome {
  if (!knows(settings, data.toString())) return { replies: [], next: 'close' };
  state.exportName = data.toString();
  const padded = (state.clientFlags & ClientFlag.NO_ZEROES) === 0;
  const head = [u64(BigInt(settings.sizeBytes)), u16(flagsOf(settings, state))];
  const raw = Buffer.concat([...head, Buffer.alloc(padded ? EXPORT_NAME_PADDING_BYTES : 0)]);
  return { replies: [], raw, next: 'transmission' };
}

function list({ exports }: Settings): Outcome {
  const replies = exports.map((name) => {
    const bytes = Buffer.from(name);
    return { type: Reply.SERVER, data: Buffer.concat([u32(bytes.length), bytes, Buffer.from('for tests')]) };
  });
  return { replies: [...replies, { type: Reply.ACK }] };
}

function startTls({ data, state }: Ask, settings: Settings): Outcome {
  if (settings.tls === 'none') return refuse(Reply.ERR_UNSUP);
  const fixed = (state.clientFlags & ClientFlag.FIXED_NEWSTYLE) !== 0;
  if (data.length > 0 || state.secure || !fixed) return refuse(Reply.ERR_INVALID);
  Object.assign(state, { structured: false, extended: false, contexts: [] });
  return { ...ack, next: 'tls' };
}

function info({ option, data, state }: Ask, settings: Settings): Outcome {
  const nameBytes = data.length < 6 ? data.length : data.readUInt32BE(0);
  if (nameBytes > data.length - 6) return refuse(Reply.ERR_INVALID);
  const name = data.subarray(4, 4 + nameBytes);
  const count = data.readUInt16BE(4 + nameBytes);
  if (data.length !== 6 + nameBytes + 2 * count) return refuse(Reply.ERR_INVALID);
  if (nameBytes > STRING_BYTES_MAX || name.includes(0)) return refuse(Reply.ERR_INVALID);
  if (!knows(settings, name.toString())) return refuse(Reply.ERR_UNKNOWN);
  const requests = Array.from({ length: count }, (_, i) => data.readUInt16BE(6 + nameBytes + 2 * i));
  const size = u64(BigInt(settings.sizeBytes));
  const told = [Buffer.concat([u16(Info.EXPORT), size, u16(flagsOf(settings, state))])];
  if (requests.includes(Info.NAME)) told.push(Buffer.concat([u16(Info.NAME), name]));
  const { minimumBytes, payloadBytesMax } = settings;
  const sizes = [u32(minimumBytes), u32(Math.max(4096, minimumBytes)), u32(payloadBytesMax)];
  if (requests.includes(Info.BLOCK_SIZE)) told.push(Buffer.concat([u16(Info.BLOCK_SIZE), ...sizes]));
  const replies: OptionReply[] = told.map((one) => ({ type: Reply.INFO, data: one }));
  state.exportName = name.toString();
  const next = option === Option.GO ? 'transmission' : undefined;
  return { replies: [...replies, { type: Reply.ACK }], next };
}

function metaContexts({ option, data, state }: Ask, settings: Settings): Outcome {
  const select = option === Option.SET_META_CONTEXT;
  if (select) state.contexts = [];
  if (select && !state.structured && !state.extended) return refuse(Reply.ERR_INVALID);
  const strings = parseStrings(data);
  if (strings === undefined) return refuse(Reply.ERR_INVALID);
  const [name, ...queries] = strings;
  if (!knows(settings, name)) return refuse(Reply.ERR_UNKNOWN);
  const found = settings.contexts.filter((context) => {
    if (!select && queries.length === 0) return true;
    return queries.some(
      (query) => query === context || (!select && query === 'base:' && context.startsWith(query)),
    );
  });
  if (select) Object.assign(state, { contexts: found, contextsOf: name });
  const replies = found.map((context) => {
    const id = select ? settings.contexts.indexOf(context) + 1 : 0;
    return { type: Reply.META_CONTEXT, data: Buffer.concat([u32(id), Buffer.from(context)]) };
  });
  return { replies: [...replies, { type: Reply.ACK }] };
}

/** The export's name and the queries; undefined when a length does not fit. */
function parseStrings(data: Buffer): string[] | undefined {
  const strings: string[] = [];
  let at = 0;
  const next = (): boolean => {
    if (data.length < at + 4) return false;
    const end = at + 4 + data.readUInt32BE(at);
    if (data.length < end) return false;
    strings.push(data.toString('utf8', at + 4, end));
    at = end;
    return true;
  };
  if (!next() || data.length < at + 4) return undefined;
  const count = data.readUInt32BE(at);
  at += 4;
  for (let i = 0; i < count; i++) if (!next()) return undefined;
  return at === data.length ? strings : undefined;
}

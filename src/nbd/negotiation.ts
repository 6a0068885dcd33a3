/**
 * The handshake of one connection: options in, replies out, until the client has chosen an export. No sockets.
 *
 *   flags -> option -> option ... -> EXPORT_NAME or GO: served
 *                                 -> STARTTLS: over again on a secured connection
 *                                 -> ABORT, or something that is no option: closed
 *
 * Rules it keeps:
 * - each option gets its reply, also one that nobody knows; its data is skipped then;
 * - before TLS, where it is required, nothing is told of exports;
 * - what was negotiated before TLS is forgotten, and bytes that came before it are not taken for what came after;
 * - it ends as soon as a reply cannot be sent.
 */

import type { ReplyMode } from './messages.ts';
import {
  CLIENT_FLAGS_BYTES,
  decodeGo,
  decodeMeta,
  decodeOptionHeader,
  decodeText,
  encodeExportName,
  encodeGreeting,
  encodeInfoBlockSize,
  encodeInfoExport,
  encodeInfoText,
  encodeMetaContext,
  encodeOptionError,
  encodeOptionReply,
  encodeServer,
  OPTION_HEADER_BYTES,
  type OptionHeader,
} from './options.ts';
import {
  ALLOCATION_CONTEXT,
  ALLOCATION_ID,
  FLAG_FIXED_NEWSTYLE,
  FLAG_NO_ZEROES,
  INFO,
  OPT,
  REP,
} from './protocol.ts';
import { transmissionFlags } from './request-rules.ts';
import type { Session } from './transmission.ts';
import type { NbdExport } from './volume.ts';

/** Longest data of an option that is looked at: a name, and a thousand short queries. */
const OPTION_BYTES_MAX = 64 * 1024;

/** What the handshake asks of the server. */
export interface Catalogue {
  /** The export of this name; '' is the default one. */
  find(name: string): NbdExport | undefined;
  list(): Iterable<NbdExport>;
  readonly tls: 'none' | 'offered' | 'required';
  readonly stopping: boolean;
}

export type Outcome =
  | { readonly next: 'serve'; readonly session: Session; readonly export: NbdExport }
  | { readonly next: 'tls' }
  | { readonly next: 'close'; readonly reason: string };

export class Negotiation {
  readonly #catalogue: Catalogue;
  readonly #secured: boolean;
  readonly #sink: (bytes: Buffer) => boolean;
  /** What is being collected: client flags, an option's header, or its data. */
  #collected = Buffer.alloc(OPTION_HEADER_BYTES);
  #collectedBytes = 0;
  #need: number;
  #option: OptionHeader | undefined;
  #skipBytes = 0;
  #flagsSeen: boolean;
  #fixed = false;
  #noZeroes = false;
  #mode: ReplyMode = 'simple';
  /** The export whose base:allocation was chosen. */
  #allocationOf: NbdExport | undefined;
  #outcome: Outcome | undefined;

  /**
   * `sink` sends bytes, and says false when the connection has ended. `secured`: on TLS, where the greeting has been
   * exchanged before.
   */
  constructor(
    catalogue: Catalogue,
    sink: (bytes: Buffer) => boolean,
    secured?: { readonly noZeroes: boolean },
  ) {
    this.#catalogue = catalogue;
    this.#sink = sink;
    this.#secured = secured !== undefined;
    this.#noZeroes = secured?.noZeroes ?? false;
    this.#flagsSeen = this.#secured;
    this.#need = this.#secured ? OPTION_HEADER_BYTES : CLIENT_FLAGS_BYTES;
    if (!this.#secured) this.#send(encodeGreeting());
  }

  /** Set when the handshake has ended. */
  get outcome(): Outcome | undefined {
    return this.#outcome;
  }

  get noZeroes(): boolean {
    return this.#noZeroes;
  }

  /** Takes input up to where the handshake ends; how many bytes. */
  take(bytes: Buffer): number {
    let at = 0;
    while (at < bytes.length && this.#outcome === undefined) {
      if (this.#skipBytes > 0) {
        const skipped = Math.min(this.#skipBytes, bytes.length - at);
        this.#skipBytes -= skipped;
        at += skipped;
        if (this.#skipBytes === 0) this.#tooLong();
      } else {
        const copied = bytes.copy(this.#collected, this.#collectedBytes, at, at + this.#missing());
        this.#collectedBytes += copied;
        at += copied;
        if (this.#missing() === 0) this.#whole();
      }
    }
    return at;
  }

  #missing(): number {
    return this.#need - this.#collectedBytes;
  }

  /** What was being collected is complete. */
  #whole(): void {
    const bytes = this.#collected.subarray(0, this.#need);
    this.#collectedBytes = 0;
    if (!this.#flagsSeen) this.#takeFlags(bytes.readUInt32BE(0));
    else if (this.#option === undefined) this.#takeHeader(bytes);
    else this.#take(this.#option, bytes);
  }

  #takeFlags(flags: number): void {
    if ((flags & ~(FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES)) !== 0) {
      this.#close(`unknown client flags ${flags}`);
      return;
    }
    this.#fixed = (flags & FLAG_FIXED_NEWSTYLE) !== 0;
    this.#noZeroes = (flags & FLAG_NO_ZEROES) !== 0;
    this.#flagsSeen = true;
    this.#next();
  }

  #takeHeader(bytes: Buffer): void {
    const option = decodeOptionHeader(bytes);
    if (option === undefined) {
      this.#close('not an option');
      return;
    }
    this.#option = option;
    if (option.length === 0) {
      this.#take(option, bytes.subarray(0, 0));
    } else if (option.length > OPTION_BYTES_MAX) {
      this.#skipBytes = option.length;
    } else {
      this.#need = option.length;
      if (this.#collected.length < option.length) this.#collected = Buffer.alloc(option.length);
    }
  }

  /** The next option. */
  #next(): void {
    this.#option = undefined;
    this.#need = OPTION_HEADER_BYTES;
  }

  #tooLong(): void {
    const { option } = this.#option as OptionHeader;
    if (option === OPT.EXPORT_NAME) this.#close('an export name that is too long');
    else if (!(Object.values(OPT) as number[]).includes(option)) this.#error(REP.ERR_UNSUP, 'unknown option');
    else this.#error(REP.ERR_TOO_BIG, `more than ${OPTION_BYTES_MAX} bytes of data`);
  }

  #take({ option }: OptionHeader, data: Buffer): void {
    const { tls } = this.#catalogue;
    const mayNotYet = tls === 'required' && !this.#secured;
    if (option === OPT.ABORT) {
      this.#reply(REP.ACK);
      this.#close('aborted by the client');
    } else if (option === OPT.EXPORT_NAME) {
      this.#exportName(mayNotYet ? undefined : data);
    } else if (option === OPT.STARTTLS) {
      this.#startTls(data);
    } else if (mayNotYet) {
      this.#error(REP.ERR_TLS_REQD, 'this server wants TLS first');
    } else if (this.#catalogue.stopping) {
      this.#error(REP.ERR_SHUTDOWN, 'this server is stopping');
    } else {
      this.#answer(option, data);
    }
  }

  #answer(option: number, data: Buffer): void {
    switch (option) {
      case OPT.LIST:
        if (data.length > 0) this.#error(REP.ERR_INVALID, 'LIST has no data');
        else this.#list();
        break;
      case OPT.INFO:
      case OPT.GO:
        this.#go(option, data);
        break;
      case OPT.STRUCTURED_REPLY:
      case OPT.EXTENDED_HEADERS:
        this.#chooseMode(option === OPT.EXTENDED_HEADERS ? 'extended' : 'structured', data);
        break;
      case OPT.LIST_META_CONTEXT:
      case OPT.SET_META_CONTEXT:
        this.#meta(option, data);
        break;
      default:
        this.#error(REP.ERR_UNSUP, 'unknown option');
    }
  }

  #exportName(data: Buffer | undefined): void {
    const name = data && decodeText(data);
    const found = name === undefined || this.#catalogue.stopping ? undefined : this.#catalogue.find(name);
    if (found === undefined) {
      this.#close('an export by name that is not served'); // this option has no error replies
      return;
    }
    const flags = transmissionFlags(found.volume, this.#mode);
    this.#send(encodeExportName(found.volume.size, flags, this.#noZeroes));
    this.#serve(found);
  }

  #startTls(data: Buffer): void {
    if (this.#catalogue.tls === 'none') this.#error(REP.ERR_UNSUP, 'this server has no TLS');
    else if (this.#secured || data.length > 0)
      this.#error(REP.ERR_INVALID, 'STARTTLS has no data, and comes once');
    else if (!this.#fixed) this.#error(REP.ERR_INVALID, 'STARTTLS needs fixed newstyle');
    else {
      this.#reply(REP.ACK);
      this.#end({ next: 'tls' });
    }
  }

  #list(): void {
    const { option } = this.#option as OptionHeader;
    for (const { name, description } of this.#catalogue.list()) {
      this.#send(encodeServer(option, name, description));
      if (this.#outcome !== undefined) return;
    }
    this.#reply(REP.ACK);
  }

  #go(option: number, data: Buffer): void {
    const request = decodeGo(data);
    if (request === undefined) {
      this.#error(REP.ERR_INVALID, 'no name and list of information requests');
      return;
    }
    const found = this.#catalogue.find(request.name);
    if (found === undefined) {
      this.#error(REP.ERR_UNKNOWN, 'no export of this name');
      return;
    }
    const { volume, name, description } = found;
    this.#send(encodeInfoExport(option, volume.size, transmissionFlags(volume, this.#mode)));
    const asked = new Set(request.information);
    if (asked.has(INFO.NAME)) this.#send(encodeInfoText(option, INFO.NAME, name));
    if (asked.has(INFO.DESCRIPTION)) this.#send(encodeInfoText(option, INFO.DESCRIPTION, description));
    if (asked.has(INFO.BLOCK_SIZE)) this.#send(encodeInfoBlockSize(option));
    this.#reply(REP.ACK);
    if (option === OPT.GO) this.#serve(found);
  }

  #chooseMode(mode: 'structured' | 'extended', data: Buffer): void {
    if (data.length > 0) {
      this.#error(REP.ERR_INVALID, 'this option has no data');
    } else if (this.#mode === mode) {
      this.#error(REP.ERR_INVALID, `${mode} replies were chosen before`);
    } else if (this.#mode === 'extended') {
      this.#error(REP.ERR_EXT_HEADER_REQD, 'extended headers were chosen before');
    } else {
      this.#mode = mode;
      this.#reply(REP.ACK);
    }
  }

  #meta(option: number, data: Buffer): void {
    const sets = option === OPT.SET_META_CONTEXT;
    if (sets) this.#allocationOf = undefined;
    const request = decodeMeta(data);
    if (request === undefined || this.#mode === 'simple') {
      this.#error(REP.ERR_INVALID, 'no name and list of queries, or structured replies were not chosen');
      return;
    }
    const found = this.#catalogue.find(request.name);
    if (found === undefined) {
      this.#error(REP.ERR_UNKNOWN, 'no export of this name');
      return;
    }
    const matches = (query: string): boolean => query === ALLOCATION_CONTEXT || (!sets && query === 'base:');
    if (request.queries.some(matches) || (!sets && request.queries.length === 0)) {
      this.#send(encodeMetaContext(option, sets ? ALLOCATION_ID : 0, ALLOCATION_CONTEXT));
      if (sets) this.#allocationOf = found;
    }
    this.#reply(REP.ACK);
  }

  #serve(found: NbdExport): void {
    const allocation = this.#allocationOf === found;
    const session = { volume: found.volume, mode: this.#mode, allocation };
    this.#end({ next: 'serve', session, export: found });
  }

  #send(bytes: Buffer): void {
    if (!this.#sink(bytes)) this.#close('a reply could not be sent');
  }

  #reply(type: number): void {
    this.#send(encodeOptionReply((this.#option as OptionHeader).option, type));
    this.#next();
  }

  #error(type: number, text: string): void {
    this.#send(encodeOptionError((this.#option as OptionHeader).option, type, text));
    this.#next();
  }

  #close(reason: string): void {
    this.#end({ next: 'close', reason });
  }

  #end(outcome: Outcome): void {
    this.#outcome ??= outcome;
  }
}

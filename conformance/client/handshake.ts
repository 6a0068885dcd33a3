// Option haggling as a client sees it. What the server answers must have the layout of the protocol; whether it is the
// right answer is for the check to say.
import type { ConnectionOptions } from 'node:tls';
import { addInfo, type ExportInfo, type MetaContext, parseMetaContext, textOf } from '../protocol/answers.ts';
import { infoData, metaContextData, optionMessage, u32 } from '../protocol/messages.ts';
import {
  ClientFlag,
  EXPORT_NAME_PADDING_BYTES,
  GREETING_MAGIC,
  HandshakeFlag,
  Info,
  OLDSTYLE_MAGIC,
  OPTION_MAGIC,
  OPTION_REPLY_MAGIC,
  Option,
  optionName,
  Reply,
  replyName,
} from '../protocol/numbers.ts';
import { Violation } from '../protocol/violation.ts';
import type { Channel } from './channel.ts';
import { Transmission } from './transmission.ts';

/** Replies to one option, before the suite takes the server for one that never ends. */
const REPLIES_MAX = 10_000;
/** Larger than any reply the protocol knows. */
const REPLY_BYTES_MAX = 64 * 1024;

const ERROR_BIT = 2 ** 31;
/** Replies that may come before the last one, by option. */
const REPLY_BEFORE_LAST: Record<number, number | undefined> = {
  [Option.LIST]: Reply.SERVER,
  [Option.INFO]: Reply.INFO,
  [Option.GO]: Reply.INFO,
  [Option.LIST_META_CONTEXT]: Reply.META_CONTEXT,
  [Option.SET_META_CONTEXT]: Reply.META_CONTEXT,
};

export interface OptionAnswer {
  /** Data of the replies before the last one. */
  readonly replies: readonly Buffer[];
  /** Type of the last one: ACK or an error. */
  readonly final: number;
  /** What the server added to an error. */
  readonly message: string;
}

export interface InfoAnswer extends OptionAnswer {
  readonly info: ExportInfo;
}

/** 'ERR_UNSUP (unknown option)' */
export function describeAnswer({ final, message }: OptionAnswer): string {
  return message === '' ? replyName(final) : `${replyName(final)} (${message})`;
}

/** The first 18 bytes of a server. Throws a Violation when they are not those of newstyle. */
export async function readGreeting(channel: Channel): Promise<number> {
  const greeting = await channel.read(18, 'greeting');
  if (greeting.readBigUInt64BE(0) !== GREETING_MAGIC) throw new Violation('the greeting is not that of NBD');
  const magic = greeting.readBigUInt64BE(8);
  if (magic === OLDSTYLE_MAGIC) throw new Violation('the greeting is that of oldstyle negotiation');
  if (magic !== OPTION_MAGIC) throw new Violation('the greeting lacks IHAVEOPT');
  return greeting.readUInt16BE(16);
}

export class Handshake {
  readonly channel: Channel;
  /** What the server offered. */
  readonly serverFlags: number;
  readonly clientFlags: number;
  #structured = false;
  #extended = false;
  #contexts: readonly MetaContext[] = [];

  private constructor(channel: Channel, serverFlags: number, clientFlags: number) {
    this.channel = channel;
    this.serverFlags = serverFlags;
    this.clientFlags = clientFlags;
  }

  /** @param clientFlags - without them: all that the server offers */
  static async begin(channel: Channel, clientFlags?: number): Promise<Handshake> {
    const serverFlags = await readGreeting(channel);
    const noZeroes = (serverFlags & HandshakeFlag.NO_ZEROES) !== 0 ? ClientFlag.NO_ZEROES : 0;
    const flags = clientFlags ?? ClientFlag.FIXED_NEWSTYLE | noZeroes;
    channel.send(u32(flags));
    return new Handshake(channel, serverFlags, flags);
  }

  async option(option: number, data?: Uint8Array): Promise<OptionAnswer> {
    this.channel.send(optionMessage(option, data));
    return this.readAnswer(option);
  }

  /** The answer to an option that was sent by other means. */
  async readAnswer(option: number): Promise<OptionAnswer> {
    const replies: Buffer[] = [];
    for (let i = 0; i < REPLIES_MAX; i++) {
      const { type, data } = await this.#readReply(option);
      if (type >= ERROR_BIT) return { replies, final: type, message: textOf(data, 'an error message') };
      if (type === Reply.ACK) {
        if (data.length > 0) throw new Violation(`ACK to ${optionName(option)} has data`);
        return { replies, final: type, message: '' };
      }
      if (type !== REPLY_BEFORE_LAST[option]) {
        throw new Violation(`${replyName(type)} in reply to ${optionName(option)}`);
      }
      replies.push(data);
    }
    throw new Violation(`more than ${REPLIES_MAX} replies to ${optionName(option)}`);
  }

  async #readReply(option: number): Promise<{ type: number; data: Buffer }> {
    const header = await this.channel.read(20, `reply to ${optionName(option)}`);
    if (header.readBigUInt64BE(0) !== OPTION_REPLY_MAGIC) {
      throw new Violation(`the reply to ${optionName(option)} has a wrong magic`);
    }
    if (header.readUInt32BE(8) !== option) {
      throw new Violation(`the reply to ${optionName(option)} names ${optionName(header.readUInt32BE(8))}`);
    }
    const length = header.readUInt32BE(16);
    if (length > REPLY_BYTES_MAX) throw new Violation(`a reply to ${optionName(option)} of ${length} bytes`);
    const data = await this.channel.read(length, `data of the reply to ${optionName(option)}`);
    return { type: header.readUInt32BE(12), data };
  }

  async info(name: string | Buffer, requests: readonly number[] = []): Promise<InfoAnswer> {
    return withInfo(await this.option(Option.INFO, infoData(name, requests)));
  }

  /** The transmission is there when the answer is ACK. */
  async go(
    name: string,
    requests: readonly number[] = [Info.BLOCK_SIZE],
  ): Promise<InfoAnswer & { transmission?: Transmission }> {
    const answer = withInfo(await this.option(Option.GO, infoData(name, requests)));
    const { size, flags } = answer.info;
    if (answer.final !== Reply.ACK) return answer;
    if (size === undefined || flags === undefined)
      throw new Violation('GO is acknowledged without INFO_EXPORT');
    return { ...answer, transmission: this.transmission(size, flags) };
  }

  /** Ends the haggling by EXPORT_NAME. The padding is what followed size and flags. */
  async exportName(name: string): Promise<{ transmission: Transmission; padding: Buffer }> {
    this.channel.send(optionMessage(Option.EXPORT_NAME, Buffer.from(name)));
    const answer = await this.channel.read(10, 'reply to EXPORT_NAME');
    const padded = (this.clientFlags & this.serverFlags & ClientFlag.NO_ZEROES) === 0;
    const padding = await this.channel.read(
      padded ? EXPORT_NAME_PADDING_BYTES : 0,
      'zeroes after EXPORT_NAME',
    );
    return { transmission: this.transmission(answer.readBigUInt64BE(0), answer.readUInt16BE(8)), padding };
  }

  transmission(size: bigint, flags: number): Transmission {
    const mode = this.#extended ? 'extended' : this.#structured ? 'structured' : 'simple';
    return new Transmission(this.channel, { mode, size, flags, contexts: this.#contexts });
  }

  async structured(): Promise<OptionAnswer> {
    const answer = await this.option(Option.STRUCTURED_REPLY);
    if (answer.final === Reply.ACK) this.#structured = true;
    return answer;
  }

  async extended(): Promise<OptionAnswer> {
    const answer = await this.option(Option.EXTENDED_HEADERS);
    if (answer.final === Reply.ACK) this.#extended = true;
    return answer;
  }

  /** Selects contexts; what was selected before is gone, also when the server refuses. */
  async setContexts(
    name: string,
    queries: readonly string[],
  ): Promise<OptionAnswer & { contexts: readonly MetaContext[] }> {
    const answer = await this.option(Option.SET_META_CONTEXT, metaContextData(name, queries));
    const contexts = answer.replies.map(parseMetaContext);
    this.#contexts = answer.final === Reply.ACK ? contexts : [];
    return { ...answer, contexts };
  }

  async listContexts(
    name: string,
    queries: readonly string[],
  ): Promise<OptionAnswer & { contexts: readonly MetaContext[] }> {
    const answer = await this.option(Option.LIST_META_CONTEXT, metaContextData(name, queries));
    return { ...answer, contexts: answer.replies.map(parseMetaContext) };
  }

  /** Asks for TLS, and turns the connection into a TLS one when the server agrees. */
  async startTls(options: ConnectionOptions): Promise<OptionAnswer & { version?: string }> {
    const answer = await this.option(Option.STARTTLS);
    if (answer.final !== Reply.ACK) return answer;
    const version = await this.channel.upgrade(options);
    this.#structured = false;
    this.#extended = false;
    this.#contexts = [];
    return { ...answer, version };
  }
}

function withInfo(answer: OptionAnswer): InfoAnswer {
  const info: ExportInfo = { types: [] };
  for (const reply of answer.replies) addInfo(info, reply);
  return { ...answer, info };
}

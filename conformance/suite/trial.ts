// What one check works with: fresh connections to the server, what the server offers, the region it may write to. All
// connections of a trial are dropped at its end.
import { Channel } from '../client/channel.ts';
import { describeAnswer, Handshake } from '../client/handshake.ts';
import type { Transmission } from '../client/transmission.ts';
import { Info, Reply } from '../protocol/numbers.ts';
import { Closed, Violation } from '../protocol/violation.ts';
import { NotApplicable, need } from './check.ts';
import { type Facts, NothingToCheck } from './facts.ts';
import type { Target } from './target.ts';

/** The part of the export that may be written. */
export interface Region {
  readonly offset: bigint;
  readonly length: bigint;
}

export interface OpenOptions {
  readonly structured?: boolean;
  readonly extended?: boolean;
  /** Metadata contexts to select. */
  readonly contexts?: readonly string[];
}

/** What reads and writes use where the size does not matter, in bytes: each server takes it. */
const BLOCK_BYTES = 4096;

export class Trial {
  readonly target: Target;
  readonly patienceMs: number;
  readonly #facts: Facts | undefined;
  readonly #region: Region | undefined;
  readonly #channels: Channel[] = [];

  constructor(target: Target, patienceMs: number, facts?: Facts, region?: Region) {
    this.target = target;
    this.patienceMs = patienceMs;
    this.#facts = facts;
    this.#region = region;
  }

  get facts(): Facts {
    if (this.#facts === undefined) throw new Error('the server was not probed');
    return this.#facts;
  }

  get exportName(): string {
    return this.target.exportName;
  }

  /** A connection on which nothing was said. */
  async dial(): Promise<Channel> {
    const channel = await Channel.open(this.target.address, this.patienceMs);
    this.#channels.push(channel);
    return channel;
  }

  /** Ready for options, without TLS. */
  async greetPlain(clientFlags?: number): Promise<Handshake> {
    return Handshake.begin(await this.dial(), clientFlags);
  }

  /** Ready for options, over TLS if the URI says so. */
  async greet(clientFlags?: number): Promise<Handshake> {
    const handshake = await this.greetPlain(clientFlags);
    if (!this.target.secure) return handshake;
    const answer = await handshake.startTls(this.target.tls);
    if (answer.final === Reply.ACK) return handshake;
    throw new NothingToCheck(`the server refuses TLS: ${describeAnswer(answer)}`);
  }

  /** In the transmission phase of the export. */
  async open({ structured, extended, contexts }: OpenOptions = {}): Promise<Transmission> {
    const handshake = await this.greet();
    if (structured) need((await handshake.structured()).final === Reply.ACK, 'no structured replies');
    if (extended) need((await handshake.extended()).final === Reply.ACK, 'no extended headers');
    if (contexts !== undefined) await this.#select(handshake, contexts);
    if (!this.facts.go) return (await handshake.exportName(this.exportName)).transmission;
    const answer = await handshake.go(this.exportName, [Info.BLOCK_SIZE]);
    if (answer.transmission === undefined) throw new Violation(`GO is answered ${describeAnswer(answer)}`);
    return answer.transmission;
  }

  async #select(handshake: Handshake, queries: readonly string[]): Promise<void> {
    const answer = await handshake.setContexts(this.exportName, queries);
    need(answer.final === Reply.ACK && answer.contexts.length > 0, 'no metadata context can be selected');
  }

  /** The flag of the export, or the check does not apply. */
  needFlag(flag: number, name: string): void {
    need((this.facts.flags & flag) !== 0, `${name} is not advertised`);
  }

  /** Size of usual reads and writes: a multiple of the block size, within the export. */
  get blockBytes(): number {
    const bytes = Math.max(BLOCK_BYTES, this.minimumBytes);
    need(this.facts.size >= BigInt(bytes), `the export is smaller than ${bytes} bytes`);
    return bytes;
  }

  get minimumBytes(): number {
    return this.facts.blockSizes?.minimum ?? 1;
  }

  /** The end of the export as far as requests can reach it. */
  get end(): bigint {
    const { size } = this.facts;
    return size - (size % BigInt(Math.max(1, this.minimumBytes)));
  }

  /** Where no byte of the export is any more, at the begin of a block. */
  get pastEnd(): bigint {
    const unit = BigInt(Math.max(1, this.minimumBytes));
    return this.end === this.facts.size ? this.end : this.end + unit;
  }

  /** The region, or its first `bytes`; the check does not apply where it is smaller. */
  region(bytes = this.blockBytes): Region {
    const region = this.#region;
    if (region === undefined) throw new NotApplicable('only with --write');
    need(region.length >= BigInt(bytes), `needs a region of ${bytes} bytes`);
    return region;
  }

  /** Whether the server goes on with the connection: a read must succeed. */
  async expectAlive(transmission: Transmission): Promise<void> {
    const { error } = await transmission.read(0n, this.blockBytes);
    if (error !== 0) throw new Closed('served no read afterwards');
  }

  /** Whether the server goes on with others. */
  async expectServing(): Promise<void> {
    await this.expectAlive(await this.open());
  }

  finish(): void {
    for (const channel of this.#channels) channel.drop();
  }
}

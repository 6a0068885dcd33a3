// What a server offers, found out once before the checks. It decides which checks apply; it judges nothing. What cannot
// be found out stays away, and the checks that are about it tell why.

import type { Handshake } from '../client/handshake.ts';
import { type BlockSizes, parseListed } from '../protocol/answers.ts';
import {
  ALLOCATION,
  ClientFlag,
  ExportFlag,
  HandshakeFlag,
  Info,
  Option,
  Reply,
} from '../protocol/numbers.ts';
import { Closed, Silent, Violation } from '../protocol/violation.ts';
import type { Target } from './target.ts';

export interface Facts {
  readonly handshakeFlags: number;
  readonly size: bigint;
  /** Transmission flags with simple replies. */
  readonly flags: number;
  /** Advertised constraints. */
  readonly blockSizes: BlockSizes | undefined;
  /** GO works; else the export is opened by EXPORT_NAME. */
  readonly go: boolean;
  readonly structured: boolean;
  readonly extended: boolean;
  /** Contexts that the server lists for the export. */
  readonly contexts: readonly string[];
  /** A name that nobody gave is served like any other. */
  readonly anyName: boolean;
  /** Without TLS every option is refused; TLS can be had; or not. */
  readonly tls: 'forced' | 'offered' | 'none';
  readonly listed: readonly string[];
}

/** An export that no server was told to have. */
export const NO_SUCH_EXPORT = 'no-such-export-5f1c2e';

/** Names from LIST that are remembered. */
const LISTED_MAX = 8;

/** Opens connections that the probe, or the runner, closes. `plain` ones stay without TLS. */
export type Greet = (plain?: boolean) => Promise<Handshake>;

/** The value of `find`, or `otherwise` when the server does not play along. */
async function attempt<T>(find: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await find();
  } catch (error) {
    if (error instanceof Violation || error instanceof Closed || error instanceof Silent) return otherwise;
    throw error;
  }
}

/** The server is there but has nothing to check; the message is for people. */
export class NothingToCheck extends Error {}

export async function probe(target: Target, greet: Greet): Promise<Facts> {
  const name = target.exportName;
  const tls = await attempt(() => probeTls(greet), 'none' as const);
  if (tls === 'forced' && !target.secure) {
    throw new NothingToCheck('the server wants TLS for everything: use nbds:// or nbds+unix://');
  }
  const answer = await attempt(async () => (await greet()).info(name, [Info.BLOCK_SIZE]), undefined);
  if (answer?.final === Reply.ERR_UNKNOWN) throw new NothingToCheck(`the server has no export '${name}'`);
  if (answer?.final === Reply.ERR_TLS_REQD) {
    throw new NothingToCheck(`the server wants TLS for '${name}': use nbds:// or nbds+unix://`);
  }
  const go = answer?.final === Reply.ACK && answer.info.size !== undefined && answer.info.flags !== undefined;
  const old = await attempt(async () => {
    if (go) return undefined;
    return (await (await greet()).exportName(name)).transmission;
  }, undefined);
  const acked = (option: number) =>
    attempt(async () => (await (await greet()).option(option)).final === Reply.ACK, false);
  const structured = await acked(Option.STRUCTURED_REPLY);
  const extended = await acked(Option.EXTENDED_HEADERS);
  return {
    handshakeFlags: await attempt(async () => (await greet(true)).serverFlags, 0),
    size: answer?.info.size ?? old?.size ?? 0n,
    flags: answer?.info.flags ?? old?.flags ?? ExportFlag.HAS_FLAGS,
    blockSizes: answer?.info.blockSizes,
    go,
    structured,
    extended,
    contexts: structured || extended ? await attempt(() => probeContexts(name, greet, structured), []) : [],
    anyName: await attempt(
      async () => (await (await greet()).info(NO_SUCH_EXPORT)).final === Reply.ACK,
      false,
    ),
    tls,
    listed: await attempt(() => probeList(greet), []),
  };
}

async function probeTls(greet: Greet): Promise<Facts['tls']> {
  const handshake = await greet(true);
  const listed = await handshake.option(Option.LIST);
  if (listed.final === Reply.ERR_TLS_REQD) return 'forced';
  return (await handshake.option(Option.STARTTLS)).final === Reply.ACK ? 'offered' : 'none';
}

async function probeContexts(name: string, greet: Greet, structured: boolean): Promise<string[]> {
  const handshake = await greet();
  await (structured ? handshake.structured() : handshake.extended());
  const all = (await handshake.listContexts(name, [])).contexts.map((context) => context.name);
  if (all.includes(ALLOCATION)) return all;
  const { contexts } = await handshake.listContexts(name, [ALLOCATION]);
  return [...all, ...contexts.map((context) => context.name)];
}

async function probeList(greet: Greet): Promise<string[]> {
  const { replies } = await (await greet()).option(Option.LIST);
  return replies.slice(0, LISTED_MAX).map((reply) => parseListed(reply).name);
}

export const offersNoZeroes = ({ handshakeFlags }: Facts): boolean =>
  (handshakeFlags & HandshakeFlag.NO_ZEROES) !== 0;

export const usualClientFlags = (facts: Facts): number =>
  ClientFlag.FIXED_NEWSTYLE | (offersNoZeroes(facts) ? ClientFlag.NO_ZEROES : 0);

// What the small server of these tests is made of, and where a test can make it wrong.
import type { Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';

export interface Settings {
  readonly exports: readonly string[];
  readonly anyName: boolean;
  readonly sizeBytes: number;
  readonly flags: number;
  readonly handshakeFlags: number;
  readonly minimumBytes: number;
  readonly payloadBytesMax: number;
  readonly contexts: readonly string[];
  readonly extended: boolean;
  readonly tls: 'none' | 'offered' | 'forced';
  /** DF with structured replies. */
  readonly df: boolean;
  /** Refuses each FAST_ZERO. */
  readonly slowZeroes: boolean;
}

export interface OptionReply {
  readonly type: number;
  readonly data?: Buffer;
  /** The option that the reply names, if it is not the one that was asked. */
  readonly names?: number;
}

/** What becomes of the connection; 'mute' keeps it and says nothing more, 'down' ends the server. */
export type Next = 'close' | 'transmission' | 'tls' | 'mute' | 'down';

export interface Outcome {
  readonly replies: readonly OptionReply[];
  /** Sent instead of replies in their layout. */
  readonly raw?: Buffer;
  /** Sent after the replies. */
  readonly after?: Buffer;
  readonly next?: Next;
}

export interface Ask {
  readonly option: number;
  readonly data: Buffer;
  readonly state: State;
}

/** What was negotiated on a connection. */
export interface State {
  clientFlags: number;
  secure: boolean;
  structured: boolean;
  extended: boolean;
  /** Selected ones, with the export they were selected for. */
  contexts: readonly string[];
  contextsOf: string;
  /** Of the transmission phase. */
  exportName: string;
  /** Options seen on this connection. */
  options: number;
  /** Requests seen on this connection. */
  requests: number;
}

export interface Request {
  readonly type: number;
  readonly flags: number;
  readonly cookie: bigint;
  readonly offset: bigint;
  readonly length: bigint;
  readonly payload: Buffer;
  readonly state: State;
}

export interface SimpleReply {
  readonly error: number;
  readonly data?: Buffer;
}

export interface ChunkReply {
  readonly flags: number;
  readonly type: number;
  readonly payload?: Buffer;
}

export interface Replies {
  readonly messages: readonly ((SimpleReply | ChunkReply) & { cookie?: bigint; offset?: bigint })[];
  readonly raw?: Buffer;
  readonly next?: 'close';
}

export type Phase = 'option' | 'request';

export interface Wrongs {
  readonly settings?: Partial<Settings>;
  readonly greeting?: (right: Buffer) => Buffer;
  /** Whether a client with such flags is dropped. */
  readonly drops?: (clientFlags: number, right: boolean) => boolean;
  readonly option?: (ask: Ask, right: Outcome) => Outcome | undefined;
  readonly command?: (request: Request, right: Replies, memory: Memory) => Replies | undefined;
  /** Replies without obeying. */
  readonly instead?: (request: Request, memory: Memory) => Replies | undefined;
  /** Instead of obeying DISC by closing. */
  readonly disconnect?: (socket: Socket) => void;
  /** Ends with a client that leaves within a message of that phase, or before its replies. */
  readonly fragile?: Phase | 'replies';
  /** Takes what arrived for the whole message: hangs up, or holds up everybody else, when it is not. */
  readonly impatient?: Phase;
  readonly stalls?: boolean;
  /** Throws away what came in one packet with the client flags. */
  readonly flagsAlone?: boolean;
  /** Answers over TLS what came in the clear after STARTTLS. */
  readonly mixesTls?: boolean;
  /** Does not look at the magic of requests. */
  readonly anyMagic?: boolean;
  readonly tls?: TlsOptions;
}

/** The export: its bytes, and which 4 KiB blocks were written. */
export interface Memory {
  readonly bytes: Buffer;
  readonly written: Set<number>;
}

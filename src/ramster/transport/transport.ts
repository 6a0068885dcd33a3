/**
 * Transport: how frames get from node to node. Sockets are one (socket-transport.ts), the simulator's network another.
 *
 * A channel delivers whole frames. Over sockets they arrive once and in order, or the channel closes; nothing above
 * relies on it for correctness, only for speed.
 */

/** One frame, head and body (wire/). Whoever sends it does not change it any more. */
export type FrameBytes = Uint8Array;

export interface ChannelEvents {
  /** `frame` is valid during the call only. */
  frame(frame: FrameBytes): void;
  /** Called once, whoever closed it; nothing comes after. `reason` in words. */
  closed(reason: string): void;
}

export interface Channel {
  /** Name in the certificate of the other side; undefined on transports without certificates. */
  readonly peerName: string | undefined;
  /** For messages to people: address of the other side. */
  readonly peerAddress: string;
  /** Bytes handed to `send` and not yet to the system. */
  readonly pendingBytes: number;
  /** Sends `parts` one behind the other as one frame. Nothing happens when it is closed. */
  send(...parts: Uint8Array[]): void;
  /** Called once, before anything arrives. */
  listen(events: ChannelEvents): void;
  /** No frames are delivered while paused (the other side is slowed down). */
  pause(): void;
  resume(): void;
  /** Closes at once; what is pending may be lost. */
  close(reason: string): void;
}

export interface Transport {
  /**
   * Connects to 'host:port' or 'unix:/path'.
   *
   * @param name - the node that it must be; another one is refused, where the transport knows by certificates who it is
   * @throws an Error that says why, within `timeoutMs`
   */
  connect(address: string, timeoutMs: number, name?: string): Promise<Channel>;
}

/** What a node says of itself when it opens or accepts a link. */

/** Versions of the protocol that this node speaks: the lowest and the highest. */
export const PROTOCOLS: readonly [number, number] = [1, 1];

export interface Self {
  readonly cluster: string;
  readonly name: string;
  /** Id of its memory, 16 bytes. */
  readonly memory: Uint8Array;
  /** 8 random bytes of this start: tells two running nodes of one name from one that started again. */
  readonly instance: Uint8Array;
}

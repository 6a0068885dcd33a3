// Keyed hash of (pool, oid): SipHash with one compression and three finalisation rounds, after Aumasson and Bernstein.
// Oids come from outside; without the key, which is random for each arena, nobody can choose oids that collide.

import { H_KEY } from '../memory/layout';

let v0: u64 = 0;
let v1: u64 = 0;
let v2: u64 = 0;
let v3: u64 = 0;

@inline
function round(): void {
  v0 += v1;
  v2 += v3;
  v1 = rotl<u64>(v1, 13) ^ v0;
  v3 = rotl<u64>(v3, 16) ^ v2;
  v0 = rotl<u64>(v0, 32);
  v2 += v1;
  v0 += v3;
  v1 = rotl<u64>(v1, 17) ^ v2;
  v3 = rotl<u64>(v3, 21) ^ v0;
  v2 = rotl<u64>(v2, 32);
}

@inline
function absorb(word: u64): void {
  v3 ^= word;
  round();
  v0 ^= word;
}

/** 64 bits for an object; the low 6 choose its root slot and lock, the high 30 its way through the trie. */
export function hashOid(pool: u32, a: u64, b: u64, c: u64): u64 {
  const k0 = load<u64>(H_KEY);
  const k1 = load<u64>(H_KEY + 8);
  v0 = k0 ^ 0x736f6d6570736575;
  v1 = k1 ^ 0x646f72616e646f6d;
  v2 = k0 ^ 0x6c7967656e657261;
  v3 = k1 ^ 0x7465646279746573;
  absorb(a);
  absorb(b);
  absorb(c);
  // Length of the message in the top byte, as the function asks for: 26 bytes.
  absorb(<u64>pool | (<u64>26 << 56));
  v2 ^= 0xff;
  round();
  round();
  round();
  return v0 ^ v1 ^ v2 ^ v3;
}

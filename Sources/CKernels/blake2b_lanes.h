// blake2b_lanes.h
//
// The rounds of BLAKE2b for several messages at once, written once: vector i holds state word i of
// every lane. A file that includes this defines before:
//   words, LANES          a vector of one 64-bit word per lane, and how many
//   add, exclusive_or, rotate_32, rotate_24, rotate_16, rotate_63, broadcast
//   load_block(m, messages, length, prefix, start)   the 16 message words from byte `start` on of
//                         prefix || message, zero behind the end
//   store_digests(state, digests)
// and has switched on its CPU features for all functions that follow.

#include "blake2b.h"

static inline void mix(words v[16], int a, int b, int c, int d, words x, words y) {
  v[a] = add(add(v[a], v[b]), x);
  v[d] = rotate_32(exclusive_or(v[d], v[a]));
  v[c] = add(v[c], v[d]);
  v[b] = rotate_24(exclusive_or(v[b], v[c]));
  v[a] = add(add(v[a], v[b]), y);
  v[d] = rotate_16(exclusive_or(v[d], v[a]));
  v[c] = add(v[c], v[d]);
  v[b] = rotate_63(exclusive_or(v[b], v[c]));
}

static inline void compress(words state[8], const words m[16], uint64_t byte_count, bool last) {
  words v[16];
  for (size_t i = 0; i < 8; i++) {
    v[i] = state[i];
    v[8 + i] = broadcast(blake2b_iv[i]);
  }
  v[12] = broadcast(blake2b_iv[4] ^ byte_count);
  if (last) v[14] = broadcast(~blake2b_iv[6]);
#pragma clang loop unroll(full)
  for (size_t round = 0; round < BLAKE2B_ROUNDS; round++) {
    const uint8_t *s = blake2b_sigma[round];
    mix(v, 0, 4, 8, 12, m[s[0]], m[s[1]]);
    mix(v, 1, 5, 9, 13, m[s[2]], m[s[3]]);
    mix(v, 2, 6, 10, 14, m[s[4]], m[s[5]]);
    mix(v, 3, 7, 11, 15, m[s[6]], m[s[7]]);
    mix(v, 0, 5, 10, 15, m[s[8]], m[s[9]]);
    mix(v, 1, 6, 11, 12, m[s[10]], m[s[11]]);
    mix(v, 2, 7, 8, 13, m[s[12]], m[s[13]]);
    mix(v, 3, 4, 9, 14, m[s[14]], m[s[15]]);
  }
  for (size_t i = 0; i < 8; i++) {
    state[i] = exclusive_or(state[i], exclusive_or(v[i], v[8 + i]));
  }
}

static inline void hash_lanes(const uint8_t *const messages[], size_t length, int prefix,
                              uint8_t digests[][BLAKE2B_DIGEST_BYTES]) {
  words state[8], m[16];
  for (size_t i = 0; i < 8; i++) state[i] = broadcast(blake2b_iv[i]);
  state[0] = broadcast(blake2b_iv[0] ^ blake2b_parameters);
  size_t total = length + (prefix >= 0), start = 0;
  for (; total - start > BLAKE2B_BLOCK_BYTES; start += BLAKE2B_BLOCK_BYTES) {
    load_block(m, messages, length, prefix, start);
    compress(state, m, start + BLAKE2B_BLOCK_BYTES, false);
  }
  load_block(m, messages, length, prefix, start);
  compress(state, m, total, true);
  store_digests(state, digests);
}

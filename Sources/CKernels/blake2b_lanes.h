// blake2b_lanes.h
//
// The rounds of BLAKE2b for several messages at once, written once: vector i holds state word i of
// every lane. A file that includes this defines before:
//   words, LANES          a vector of one 64-bit word per lane, and how many
//   add, exclusive_or, rotate_32, rotate_24, rotate_16, rotate_63, broadcast
//   transpose(rows)       LANES rows of words become columns
//   load_block(m, messages, length, prefixes, start)   the 16 message words from byte `start` on of
//                         prefix || message, zero behind the end; `prefixes` holds a byte per lane,
//                         or is NULL where there is none
//   load_pair(m, left, right)   two digests as 8 words
//   shift_up, shift_down  words shifted by 8 bits towards the end, by 56 towards the front
//   load_state, store_state, store_digests   between `state` and memory of each lane
// and has switched on its CPU features for all functions that follow.

#include "blake2b.h"

/// Four mixes, which touch different words: the columns of the state, or with `turn` 1 its
/// diagonals. They go step by step side by side, so that the waits of one are filled with the others.
static inline __attribute__((always_inline)) void mix_four(words v[16], size_t turn,
                                                           const words m[16],
                                                           const uint8_t order[8]) {
#define EACH _Pragma("clang loop unroll(full)") for (size_t i = 0; i < 4; i++)
#define A v[i]
#define B v[4 + (i + turn) % 4]
#define C v[8 + (i + 2 * turn) % 4]
#define D v[12 + (i + 3 * turn) % 4]
  EACH A = add(A, m[order[2 * i]]);
  EACH A = add(A, B);
  EACH D = exclusive_or(D, A);
  EACH D = rotate_32(D);
  EACH C = add(C, D);
  EACH B = exclusive_or(B, C);
  EACH B = rotate_24(B);
  EACH A = add(A, m[order[2 * i + 1]]);
  EACH A = add(A, B);
  EACH D = exclusive_or(D, A);
  EACH D = rotate_16(D);
  EACH C = add(C, D);
  EACH B = exclusive_or(B, C);
  EACH B = rotate_63(B);
#undef EACH
#undef A
#undef B
#undef C
#undef D
}

/// Takes one block into the state. Only the first `word_count` words may be other than zero; where
/// that is a constant, the additions of the others are not even made.
static inline __attribute__((always_inline)) void compress(words state[8], const words block[16],
                                                           size_t word_count, uint64_t byte_count,
                                                           bool last) {
  words v[16], m[16], aligned;
  // A vector on the stack makes the compiler align the frame, and with it all that it spills.
  __asm__ volatile("" : "=m"(aligned));
  for (size_t i = 0; i < 16; i++) m[i] = i < word_count ? block[i] : broadcast(0);
  for (size_t i = 0; i < 8; i++) {
    v[i] = state[i];
    v[8 + i] = broadcast(blake2b_iv[i]);
  }
  v[12] = broadcast(blake2b_iv[4] ^ byte_count);
  if (last) v[14] = broadcast(~blake2b_iv[6]);
#pragma clang loop unroll(full)
  for (size_t round = 0; round < BLAKE2B_ROUNDS; round++) {
    mix_four(v, 0, m, blake2b_sigma[round]);
    mix_four(v, 1, m, blake2b_sigma[round] + 8);
  }
  for (size_t i = 0; i < 8; i++) {
    state[i] = exclusive_or(state[i], exclusive_or(v[i], v[8 + i]));
  }
}

static __attribute__((noinline)) void compress_full(words state[8], const words block[16],
                                                    uint64_t byte_count, bool last) {
  compress(state, block, 16, byte_count, last);
}

/// The last block of a message, when it is this short.
static __attribute__((noinline)) void compress_short(words state[8], const words block[16],
                                                     uint64_t byte_count) {
  compress(state, block, SHORT_WORDS, byte_count, true);
}

/// Moves `count` words up by one byte and puts the prefixes in front.
static inline __attribute__((always_inline)) void shift_in(words m[], size_t count,
                                                           words prefixes) {
#pragma clang loop unroll(full)
  for (size_t i = count - 1; i > 0; i--) {
    m[i] = exclusive_or(shift_up(m[i]), shift_down(m[i - 1]));
  }
  m[0] = exclusive_or(shift_up(m[0]), prefixes);
}

/// Takes prefix || message into the state, of which a multiple of the block size, `before` bytes, has
/// been taken before. Without `last` the bytes behind the last whole block are left out.
static inline void absorb(words state[8], const uint8_t *const messages[], size_t length,
                          const words *prefixes, uint64_t before, bool last) {
  words m[16];
  size_t total = length + (prefixes != NULL), start = 0;
  for (; total - start > BLAKE2B_BLOCK_BYTES; start += BLAKE2B_BLOCK_BYTES) {
    load_block(m, messages, length, prefixes, start);
    compress_full(state, m, before + start + BLAKE2B_BLOCK_BYTES, false);
  }
  if (!last) return;
  load_block(m, messages, length, prefixes, start);
  if (total - start <= 8 * SHORT_WORDS) {
    compress_short(state, m, before + total);
  } else {
    compress_full(state, m, before + total, true);
  }
}

static inline void begin(words state[8]) {
  for (size_t i = 0; i < 8; i++) state[i] = broadcast(blake2b_iv[i]);
  state[0] = broadcast(blake2b_iv[0] ^ blake2b_parameters);
}

static inline void hash_lanes(const uint8_t *const messages[], size_t length, int prefix,
                              uint8_t digests[][BLAKE2B_DIGEST_BYTES]) {
  words state[8], prefixes = broadcast((uint64_t)prefix);
  begin(state);
  absorb(state, messages, length, prefix < 0 ? NULL : &prefixes, 0, true);
  store_digests(state, digests);
}

static inline void hash_pairs(const uint8_t *const left[], const uint8_t *const right[], int prefix,
                              uint8_t digests[][BLAKE2B_DIGEST_BYTES]) {
  words state[8], m[16];
  begin(state);
  load_pair(m, left, right);
  m[8] = broadcast(0);
  shift_in(m, SHORT_WORDS, broadcast((uint64_t)prefix));
  compress_short(state, m, 2 * BLAKE2B_DIGEST_BYTES + 1);
  store_digests(state, digests);
}

static inline void hash_strips(ck_blake2b_strip *const strips[], const uint8_t *const messages[],
                               size_t length, uint64_t before, bool last,
                               uint8_t digests[][BLAKE2B_DIGEST_BYTES]) {
  words state[8];
  union {
    uint64_t lanes[LANES];
    words vector;
  } carries;
  for (size_t lane = 0; lane < LANES; lane++) carries.lanes[lane] = strips[lane]->carry;
  load_state(state, strips);
  absorb(state, messages, length, &carries.vector, before, last);
  if (last) {
    store_digests(state, digests);
    return;
  }
  store_state(state, strips);
  for (size_t lane = 0; lane < LANES; lane++) strips[lane]->carry = messages[lane][length - 1];
}

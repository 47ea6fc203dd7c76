// blake2b.c
//
// BLAKE2b (RFC 7693) one message at a time, the twin of the lane versions, and the batches built on
// both.

#include "blake2b.h"

#include <string.h>

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static uint64_t load_word(const uint8_t *p) {
  uint64_t word = 0;
  for (size_t i = 0; i < 8; i++) word |= (uint64_t)p[i] << 8 * i;
  return word;
}

static inline uint64_t rotate(uint64_t word, int bits) {
  return word >> bits | word << (64 - bits);
}

static inline void mix(uint64_t v[16], int a, int b, int c, int d, uint64_t x, uint64_t y) {
  v[a] += v[b] + x;
  v[d] = rotate(v[d] ^ v[a], 32);
  v[c] += v[d];
  v[b] = rotate(v[b] ^ v[c], 24);
  v[a] += v[b] + y;
  v[d] = rotate(v[d] ^ v[a], 16);
  v[c] += v[d];
  v[b] = rotate(v[b] ^ v[c], 63);
}

/// Takes one block into the state; `byte_count` counts all bytes of the message up to its end.
static void compress(uint64_t state[8], const uint8_t *block, uint64_t byte_count, bool last) {
  uint64_t v[16], m[16];
  for (size_t i = 0; i < 16; i++) m[i] = load_word(block + 8 * i);
  for (size_t i = 0; i < 8; i++) {
    v[i] = state[i];
    v[8 + i] = blake2b_iv[i];
  }
  v[12] ^= byte_count;
  if (last) v[14] = ~v[14];
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
  for (size_t i = 0; i < 8; i++) state[i] ^= v[i] ^ v[8 + i];
}

void ck_blake2b_init(ck_blake2b *hash) {
  memset(hash, 0, sizeof *hash);
  memcpy(hash->state, blake2b_iv, sizeof hash->state);
  hash->state[0] ^= blake2b_parameters;
}

void ck_blake2b_update(ck_blake2b *hash, const uint8_t *bytes, size_t byte_count) {
  // A full buffer is kept until more follows: the last block is compressed differently.
  while (byte_count > 0) {
    if (hash->buffered == BLAKE2B_BLOCK_BYTES) {
      hash->byte_count += BLAKE2B_BLOCK_BYTES;
      compress(hash->state, hash->buffer, hash->byte_count, false);
      hash->buffered = 0;
    }
    while (hash->buffered == 0 && byte_count > BLAKE2B_BLOCK_BYTES) {
      hash->byte_count += BLAKE2B_BLOCK_BYTES;
      compress(hash->state, bytes, hash->byte_count, false);
      bytes += BLAKE2B_BLOCK_BYTES;
      byte_count -= BLAKE2B_BLOCK_BYTES;
    }
    size_t room = BLAKE2B_BLOCK_BYTES - hash->buffered;
    size_t taken = byte_count < room ? byte_count : room;
    memcpy(hash->buffer + hash->buffered, bytes, taken);
    hash->buffered += taken;
    bytes += taken;
    byte_count -= taken;
  }
}

void ck_blake2b_final(ck_blake2b *hash, uint8_t *digest) {
  hash->byte_count += hash->buffered;
  memset(hash->buffer + hash->buffered, 0, BLAKE2B_BLOCK_BYTES - hash->buffered);
  compress(hash->state, hash->buffer, hash->byte_count, true);
  for (size_t i = 0; i < BLAKE2B_DIGEST_BYTES; i++) {
    digest[i] = (uint8_t)(hash->state[i / 8] >> 8 * (i % 8));
  }
}

static void hash_one(const uint8_t *message, size_t length, int prefix, uint8_t *digest) {
  ck_blake2b hash;
  ck_blake2b_init(&hash);
  uint8_t prefix_byte = (uint8_t)prefix;
  if (prefix >= 0) ck_blake2b_update(&hash, &prefix_byte, 1);
  ck_blake2b_update(&hash, message, length);
  ck_blake2b_final(&hash, digest);
}

/// One strip of one message, as blake2b_strips does it for several.
static void hash_strip(ck_blake2b_strip *strip, const uint8_t *message, size_t length,
                       uint64_t before, bool last, uint8_t *digest) {
  ck_blake2b hash = {.byte_count = before};
  uint8_t carry = (uint8_t)strip->carry;
  memcpy(hash.state, strip->state, sizeof hash.state);
  ck_blake2b_update(&hash, &carry, 1);
  ck_blake2b_update(&hash, message, length);
  if (last) {
    ck_blake2b_final(&hash, digest);
    return;
  }
  // Of a whole number of blocks behind one byte, just that many bytes are still in the buffer.
  memcpy(strip->state, hash.state, sizeof hash.state);
  strip->carry = message[length - 1];
}

/// What a level has for several messages at once; no functions where it has none.
typedef struct lane_functions {
  size_t lane_count;
  blake2b_lanes hash;
  blake2b_pairs pairs;
  blake2b_strips strips;
} lane_functions;

/// The lanes for `count` more messages, no functions for a lone one: four narrow lanes take less time
/// than eight of which half are empty.
static lane_functions lanes_for(ck_level level, size_t count) {
#if defined(__x86_64__)
  if (level >= CK_LEVEL_AVX512 && count > 4) {
    return (lane_functions){8, blake2b_8_lanes_avx512, blake2b_8_pairs_avx512,
                            blake2b_8_strips_avx512};
  }
  if (level >= CK_LEVEL_AVX2 && count > 1) {
    return (lane_functions){4, blake2b_4_lanes_avx2, blake2b_4_pairs_avx2, blake2b_4_strips_avx2};
  }
#else
  (void)level;
  (void)count;
#endif
  return (lane_functions){1, NULL, NULL, NULL};
}

/// Where the next message of some rows stands.
typedef struct place {
  size_t row, column;
} place;

static place after(place place, size_t row_length) {
  bool is_last = ++place.column == row_length;
  return is_last ? (struct place){place.row + 1, 0} : place;
}

static void hash_rows(ck_level level, ck_message_rows messages, int prefix, uint8_t *digests,
                      size_t digest_stride, size_t digest_row_stride) {
  place next = {0, 0};
  size_t left = messages.row_length * messages.row_count;
  // Lanes left over repeat the last message: cheaper than hashing two or more one by one.
  while (left > 0) {
    const uint8_t *lane_messages[8];
    uint8_t *targets[8], lane_digests[8][BLAKE2B_DIGEST_BYTES];
    lane_functions lanes = lanes_for(level, left);
    size_t used = smaller(left, lanes.lane_count);
    for (size_t lane = 0; lane < used; lane++, next = after(next, messages.row_length)) {
      lane_messages[lane] =
          messages.first + next.row * messages.row_stride + next.column * messages.stride;
      targets[lane] = digests + next.row * digest_row_stride + next.column * digest_stride;
    }
    left -= used;
    if (lanes.hash == NULL) {
      hash_one(lane_messages[0], messages.length, prefix, targets[0]);
      continue;
    }
    for (size_t lane = used; lane < lanes.lane_count; lane++) {
      lane_messages[lane] = lane_messages[used - 1];
    }
    lanes.hash(lane_messages, messages.length, prefix, lane_digests);
    for (size_t lane = 0; lane < used; lane++) {
      memcpy(targets[lane], lane_digests[lane], BLAKE2B_DIGEST_BYTES);
    }
  }
}

void ck_blake2b_many(ck_level level, const uint8_t *messages, size_t stride, size_t length,
                     int prefix, size_t count, uint8_t *digests, size_t digest_stride) {
  ck_message_rows rows = {.first = messages,
                          .length = length,
                          .stride = stride,
                          .row_length = count,
                          .row_count = 1};
  hash_rows(level, rows, prefix, digests, digest_stride, 0);
}

void ck_blake2b_rows_at(ck_level level, ck_message_rows messages, int prefix, uint8_t *digests,
                        size_t digest_row_stride) {
  hash_rows(level, messages, prefix, digests, BLAKE2B_DIGEST_BYTES, digest_row_stride);
}

void ck_blake2b_rows(ck_message_rows messages, int prefix, uint8_t *digests,
                     size_t digest_row_stride) {
  ck_blake2b_rows_at(ck_level_in_use(), messages, prefix, digests, digest_row_stride);
}

static void hash_pair(const uint8_t *left, const uint8_t *right, uint8_t prefix, uint8_t *digest) {
  ck_blake2b hash;
  ck_blake2b_init(&hash);
  ck_blake2b_update(&hash, &prefix, 1);
  ck_blake2b_update(&hash, left, BLAKE2B_DIGEST_BYTES);
  ck_blake2b_update(&hash, right, BLAKE2B_DIGEST_BYTES);
  ck_blake2b_final(&hash, digest);
}

void ck_blake2b_pairs_at(ck_level level, const uint8_t *left, size_t left_stride,
                         const uint8_t *right, size_t right_stride, uint8_t prefix, size_t count,
                         uint8_t *digests) {
  lane_functions lanes;
  size_t done = 0;
  while ((lanes = lanes_for(level, count - done)).pairs != NULL) {
    const uint8_t *lefts[8], *rights[8];
    uint8_t lane_digests[8][BLAKE2B_DIGEST_BYTES];
    size_t used = smaller(count - done, lanes.lane_count);
    for (size_t lane = 0; lane < lanes.lane_count; lane++) {
      size_t index = done + (lane < used ? lane : used - 1);
      lefts[lane] = left + index * left_stride;
      rights[lane] = right + index * right_stride;
    }
    lanes.pairs(lefts, rights, prefix, lane_digests);
    memcpy(digests + done * BLAKE2B_DIGEST_BYTES, lane_digests, used * BLAKE2B_DIGEST_BYTES);
    done += used;
  }
  for (; done < count; done++) {
    hash_pair(left + done * left_stride, right + done * right_stride, prefix,
              digests + done * BLAKE2B_DIGEST_BYTES);
  }
}

void ck_blake2b_pairs(const uint8_t *left, size_t left_stride, const uint8_t *right,
                      size_t right_stride, uint8_t prefix, size_t count, uint8_t *digests) {
  ck_blake2b_pairs_at(ck_level_in_use(), left, left_stride, right, right_stride, prefix, count,
                      digests);
}

void ck_blake2b_strips_at(ck_level level, ck_blake2b_strip *strips, const uint8_t *messages,
                          size_t stride, size_t length, uint8_t prefix, size_t count,
                          uint64_t before, bool last, uint8_t *digests, size_t digest_stride) {
  for (size_t i = 0; before == 0 && i < count; i++) {
    memcpy(strips[i].state, blake2b_iv, sizeof strips[i].state);
    strips[i].state[0] ^= blake2b_parameters;
    strips[i].carry = prefix;
  }
  lane_functions lanes;
  size_t done = 0;
  while ((lanes = lanes_for(level, count - done)).strips != NULL) {
    ck_blake2b_strip *lane_strips[8];
    const uint8_t *lane_messages[8];
    uint8_t lane_digests[8][BLAKE2B_DIGEST_BYTES];
    size_t used = smaller(count - done, lanes.lane_count);
    for (size_t lane = 0; lane < lanes.lane_count; lane++) {
      size_t index = done + (lane < used ? lane : used - 1);
      lane_strips[lane] = strips + index;
      lane_messages[lane] = messages + index * stride;
    }
    lanes.strips(lane_strips, lane_messages, length, before, last, lane_digests);
    for (size_t lane = 0; last && lane < used; lane++) {
      memcpy(digests + (done + lane) * digest_stride, lane_digests[lane], BLAKE2B_DIGEST_BYTES);
    }
    done += used;
  }
  for (; done < count; done++) {
    uint8_t *digest = last ? digests + done * digest_stride : NULL;
    hash_strip(strips + done, messages + done * stride, length, before, last, digest);
  }
}

void ck_blake2b_strips(ck_blake2b_strip *strips, const uint8_t *messages, size_t stride,
                       size_t length, uint8_t prefix, size_t count, uint64_t before, bool last,
                       uint8_t *digests, size_t digest_stride) {
  ck_blake2b_strips_at(ck_level_in_use(), strips, messages, stride, length, prefix, count, before,
                       last, digests, digest_stride);
}

// blake2b.h
//
// What the scalar and the lane versions of BLAKE2b share: constants and the lane functions by
// level. Contracts stand in CKernels.h.

#ifndef BLAKE2B_H
#define BLAKE2B_H

#include "CKernels.h"

enum { BLAKE2B_BLOCK_BYTES = 128, BLAKE2B_ROUNDS = 12, BLAKE2B_DIGEST_BYTES = 32 };

/// Words that an inner node of a tree fills: a prefix byte and two digests.
enum { SHORT_WORDS = 9 };

static const uint64_t blake2b_iv[8] = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};

/// The first state word also holds the parameters: digest length 32, no key, fan-out and depth 1.
static const uint64_t blake2b_parameters = 0x01010000 | BLAKE2B_DIGEST_BYTES;

/// Which message word each step of a round takes.
static const uint8_t blake2b_sigma[BLAKE2B_ROUNDS][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3}};

/// Hashes as many messages as there are lanes: digest i of messages[i], prefix as in
/// ck_blake2b_many. All messages are read before the first digest is written. The same message may
/// stand in several lanes.
typedef void (*blake2b_lanes)(const uint8_t *const messages[], size_t length, int prefix,
                              uint8_t digests[][BLAKE2B_DIGEST_BYTES]);

/// Hashes prefix || left || right, two digests, for as many pairs as there are lanes.
typedef void (*blake2b_pairs)(const uint8_t *const left[], const uint8_t *const right[], int prefix,
                              uint8_t digests[][BLAKE2B_DIGEST_BYTES]);

/// Goes on with as many strips as there are lanes, each from its state and carry; as
/// ck_blake2b_strips. The same strip may stand in several lanes.
typedef void (*blake2b_strips)(ck_blake2b_strip *const strips[], const uint8_t *const messages[],
                               size_t length, uint64_t before, bool last,
                               uint8_t digests[][BLAKE2B_DIGEST_BYTES]);

#if defined(__x86_64__)
void blake2b_4_lanes_avx2(const uint8_t *const messages[], size_t length, int prefix,
                          uint8_t digests[][BLAKE2B_DIGEST_BYTES]);
void blake2b_8_lanes_avx512(const uint8_t *const messages[], size_t length, int prefix,
                            uint8_t digests[][BLAKE2B_DIGEST_BYTES]);
void blake2b_4_pairs_avx2(const uint8_t *const left[], const uint8_t *const right[], int prefix,
                          uint8_t digests[][BLAKE2B_DIGEST_BYTES]);
void blake2b_8_pairs_avx512(const uint8_t *const left[], const uint8_t *const right[], int prefix,
                            uint8_t digests[][BLAKE2B_DIGEST_BYTES]);
void blake2b_4_strips_avx2(ck_blake2b_strip *const strips[], const uint8_t *const messages[],
                           size_t length, uint64_t before, bool last,
                           uint8_t digests[][BLAKE2B_DIGEST_BYTES]);
void blake2b_8_strips_avx512(ck_blake2b_strip *const strips[], const uint8_t *const messages[],
                             size_t length, uint64_t before, bool last,
                             uint8_t digests[][BLAKE2B_DIGEST_BYTES]);
#endif

#endif

// gf_gfni.c
//
// Field kernels with AVX-512 and GFNI: the 16x16 bit matrix of a factor is four 8x8 matrices, and
// one affine instruction applies one of them to each byte. A block is one register; what goes from
// low bytes to high bytes and back is computed in place and then swapped over.

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "gf_kernels.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,gfni"))), \
                             apply_to = function)

typedef __m512i block;

/// `straight`: low to low in the lower half, high to high in the upper half. `crossed`: low to
/// high in the lower half, high to low in the upper half.
typedef struct loaded_factor {
  __m512i straight, crossed;
} loaded_factor;

#define LEVEL_FACTOR_BYTES 32

static inline block block_zero(void) { return _mm512_setzero_si512(); }

static inline block block_load(const uint8_t *p) { return _mm512_loadu_si512(p); }

static inline void block_store(uint8_t *p, block b) { _mm512_storeu_si512(p, b); }

static inline block block_xor(block a, block b) { return _mm512_xor_si512(a, b); }

/// The 8x8 matrix from input bits in_bit ..< in_bit + 8 to product bits out_bit ..< out_bit + 8,
/// as the affine instruction wants it: byte 7 - i holds the input bits that make output bit i.
static uint64_t matrix(const uint16_t products[16], size_t in_bit, size_t out_bit) {
  uint64_t result = 0;
  for (size_t out = 0; out < 8; out++) {
    uint64_t row = 0;
    for (size_t in = 0; in < 8; in++) {
      row |= (uint64_t)(products[in_bit + in] >> (out_bit + out) & 1) << in;
    }
    result |= row << 8 * (7 - out);
  }
  return result;
}

static void factor_make(const uint16_t products[16], void *factor) {
  uint64_t matrices[4] = {matrix(products, 0, 0), matrix(products, 8, 8), matrix(products, 0, 8),
                          matrix(products, 8, 0)};
  memcpy(factor, matrices, sizeof matrices);
}

static inline loaded_factor factor_load(const uint8_t *p) {
  __m512i matrices = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)p));
  const __m512i straight = _mm512_setr_epi64(0, 0, 0, 0, 1, 1, 1, 1);
  const __m512i crossed = _mm512_setr_epi64(2, 2, 2, 2, 3, 3, 3, 3);
  return (loaded_factor){_mm512_permutexvar_epi64(straight, matrices),
                         _mm512_permutexvar_epi64(crossed, matrices)};
}

static inline block block_add_product(block a, block b, loaded_factor factor) {
  __m512i straight = _mm512_gf2p8affine_epi64_epi8(b, factor.straight, 0);
  __m512i crossed = _mm512_gf2p8affine_epi64_epi8(b, factor.crossed, 0);
  return _mm512_ternarylogic_epi64(a, straight, _mm512_shuffle_i64x2(crossed, crossed, 0x4e), 0x96);
}

#include "gf_lanes.h"

#pragma clang attribute pop

GF_LANES_KERNELS(gf_gfni, factor_make);

#endif

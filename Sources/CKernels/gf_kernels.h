// gf_kernels.h
//
// One level's GF(2^16) kernels. The public functions in gf.c only pick the level; contracts stand
// in CKernels.h.

#ifndef GF_KERNELS_H
#define GF_KERNELS_H

#include "CKernels.h"

enum { BLOCK_BYTES = 64, HALF_BYTES = 32 };

typedef struct gf_kernels {
  size_t factor_bytes;
  void (*factor_make)(const uint16_t products[16], void *factor);
  void (*ifft)(uint8_t *rows, size_t row_bytes, size_t size, size_t delta, size_t nonzero_count,
               const void *twiddles);
  void (*fft)(uint8_t *rows, const uint8_t *source, size_t row_bytes, size_t size, size_t delta,
              size_t wanted_from, size_t wanted_to, const void *twiddles);
  void (*multiply)(uint8_t *target, const uint8_t *source, size_t row_bytes, const void *factor);
  void (*exclusive_or)(uint8_t *target, const uint8_t *source, size_t byte_count);
  void (*add_product)(uint8_t *target, const uint8_t *source, size_t row_bytes, const void *factor);
} gf_kernels;

extern const gf_kernels gf_scalar;
#if defined(__x86_64__)
extern const gf_kernels gf_avx2;
extern const gf_kernels gf_avx512;
extern const gf_kernels gf_gfni;

/// The form of a factor for byte shuffles: 8 tables of 16 bytes. Tables 2i and 2i + 1 hold the low
/// and the high byte of the products of nibble i (bits 4i ..< 4i + 4).
void gf_shuffle_factor_make(const uint16_t products[16], void *factor);
#endif

#endif

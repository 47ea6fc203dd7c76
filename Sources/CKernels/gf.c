// gf.c
//
// Entry points of the field kernels, and the parts that need no particular CPU.

#include <string.h>

#include "gf_kernels.h"

static const gf_kernels *kernels_of(ck_level level) {
#if defined(__x86_64__)
  switch (level) {
    case CK_LEVEL_SCALAR: return &gf_scalar;
    case CK_LEVEL_AVX2: return &gf_avx2;
    case CK_LEVEL_AVX512: return &gf_avx512;
    case CK_LEVEL_GFNI: return &gf_gfni;
  }
#else
  (void)level;
#endif
  return &gf_scalar;
}

size_t ck_gf_factor_bytes(ck_level level) { return kernels_of(level)->factor_bytes; }

void ck_gf_factor_make(ck_level level, const uint16_t products[16], void *factor) {
  kernels_of(level)->factor_make(products, factor);
}

/// target = a ^ b; vectorised by the compiler.
static inline void add_factors(uint8_t *target, const uint8_t *a, const uint8_t *b, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) target[i] = a[i] ^ b[i];
}

void ck_gf_factor_table(ck_level level, const void *basis, size_t count, void *table) {
  size_t bytes = ck_gf_factor_bytes(level);
  if (count == 0) return;
  memset(table, 0, bytes);
  for (size_t index = 1; index < count; index++) {
    size_t top = 63 - (size_t)__builtin_clzll(index);
    const uint8_t *rest = (const uint8_t *)table + (index - ((size_t)1 << top)) * bytes;
    const uint8_t *unit = (const uint8_t *)basis + top * bytes;
    add_factors((uint8_t *)table + index * bytes, rest, unit, bytes);
  }
}

void ck_gf_ifft(ck_level level, uint8_t *rows, size_t row_bytes, size_t size, size_t delta,
                size_t nonzero_count, const void *twiddles) {
  kernels_of(level)->ifft(rows, row_bytes, size, delta, nonzero_count, twiddles);
}

void ck_gf_fft(ck_level level, uint8_t *rows, const uint8_t *source, size_t row_bytes, size_t size,
               size_t delta, size_t wanted_from, size_t wanted_to, const void *twiddles) {
  kernels_of(level)->fft(rows, source, row_bytes, size, delta, wanted_from, wanted_to, twiddles);
}

void ck_gf_multiply(ck_level level, uint8_t *target, const uint8_t *source, size_t row_bytes,
                    const void *factor) {
  kernels_of(level)->multiply(target, source, row_bytes, factor);
}

void ck_gf_xor(ck_level level, uint8_t *target, const uint8_t *source, size_t byte_count) {
  kernels_of(level)->exclusive_or(target, source, byte_count);
}

void ck_gf_derivative(ck_level level, uint8_t *rows, size_t row_bytes, size_t size) {
  const gf_kernels *kernels = kernels_of(level);
  for (size_t i = 1; i < size; i++) {
    size_t width = i & (~i + 1);
    kernels->exclusive_or(rows + (i - width) * row_bytes, rows + i * row_bytes, width * row_bytes);
  }
}

/// Makes the factor of `element` from its four nibbles' factors; fast where `bytes` is a constant.
static inline void add_nibbles(uint8_t *restrict factor, size_t bytes, uint16_t element,
                               const uint8_t *restrict nibble_factors) {
  const uint8_t *a = nibble_factors + (element & 15) * bytes;
  const uint8_t *b = nibble_factors + (16 + (element >> 4 & 15)) * bytes;
  const uint8_t *c = nibble_factors + (32 + (element >> 8 & 15)) * bytes;
  const uint8_t *d = nibble_factors + (48 + (element >> 12)) * bytes;
  for (size_t i = 0; i < bytes; i++) factor[i] = a[i] ^ b[i] ^ c[i] ^ d[i];
}

static inline void factor_of(uint8_t *factor, size_t bytes, uint16_t element,
                             const uint8_t *nibble_factors) {
  if (bytes == CK_GF_FACTOR_BYTES_MAX) {
    add_nibbles(factor, CK_GF_FACTOR_BYTES_MAX, element, nibble_factors);
  } else {
    add_nibbles(factor, bytes, element, nibble_factors);
  }
}

void ck_gf_accumulate(ck_level level, uint8_t *targets, size_t target_stride, size_t target_count,
                      const uint8_t *sources, size_t source_stride, size_t source_count,
                      size_t row_bytes, const uint16_t *elements, const void *nibble_factors) {
  const gf_kernels *kernels = kernels_of(level);
  uint8_t factor[CK_GF_FACTOR_BYTES_MAX];
  for (size_t s = 0; s < source_count; s++) {
    for (size_t t = 0; t < target_count; t++) {
      uint16_t element = elements[s * target_count + t];
      if (element == 0) continue;
      factor_of(factor, kernels->factor_bytes, element, nibble_factors);
      kernels->add_product(targets + t * target_stride, sources + s * source_stride, row_bytes,
                           factor);
    }
  }
}

void ck_gf_scale(ck_level level, uint8_t *row, size_t row_bytes, uint16_t element,
                 const void *nibble_factors) {
  const gf_kernels *kernels = kernels_of(level);
  uint8_t factor[CK_GF_FACTOR_BYTES_MAX];
  factor_of(factor, kernels->factor_bytes, element, nibble_factors);
  kernels->multiply(row, row, row_bytes, factor);
}

static inline uint16_t add_modulo(uint16_t a, uint16_t b) {
  uint16_t sum = a + b;
  return sum + (sum < a);
}

static inline uint16_t subtract_modulo(uint16_t a, uint16_t b) {
  uint16_t difference = a - b;
  return difference - (a < b);
}

void ck_walsh_layer(uint16_t *values, size_t count, size_t distance) {
  for (size_t start = 0; start < count; start += 2 * distance) {
    uint16_t *restrict lower = values + start, *restrict upper = lower + distance;
    for (size_t i = 0; i < distance; i++) {
      uint16_t a = lower[i], b = upper[i];
      lower[i] = add_modulo(a, b);
      upper[i] = subtract_modulo(a, b);
    }
  }
}
